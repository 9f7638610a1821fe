package recorder

import (
	"fmt"
	"testing"
)

func TestScratch(t *testing.T) {
	rec := &recording{}
	o := options(t, rec, "sh", "-c", `cat /etc/resolv.conf; ip addr; ps ax; curl -sS -m 3 https://known.example/; curl -sS -m 3 http://unknown.example/; curl -sS -m3 http://8.8.8.8/; curl -sS -m3 'http://[2001:4860::1]/'; exit 7`)
	o.Offline, o.AnyName = true, true
	record(t, o, rec)
	fmt.Println(rec.out)
	fmt.Printf("%+v\n%d bytes\n", rec.Result, rec.pcap.Len())
}
