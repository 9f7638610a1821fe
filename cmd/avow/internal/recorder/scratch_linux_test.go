package recorder

import (
	"fmt"
	"os"
	"testing"
)

func TestScratch2(t *testing.T) {
	rec := &recording{}
	o := options(t, rec, "sh", "-c", os.Getenv("CMD"))
	o.Offline = os.Getenv("OFF") != ""
	record(t, o, rec)
	fmt.Println(rec.out)
	fmt.Printf("%+v %v\n%d bytes\n", rec.Result, rec.local, rec.pcap.Len())
	os.WriteFile(os.Getenv("TO"), rec.pcap.Bytes(), 0o600)
}
