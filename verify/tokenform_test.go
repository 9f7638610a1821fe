package verify

import (
	"encoding/asn1"
	"testing"
)

// walkASN1 is checkDER by encoding/asn1: the oracle.
func walkASN1(data []byte, depth int) bool {
	if depth > maxDERDepth {
		return false
	}
	for len(data) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(data, &v)
		if err != nil || v.IsCompound && !walkASN1(v.Bytes, depth+1) {
			return false
		}
		data = rest
	}
	return true
}

// hasHighTag reports whether an encoding that walkASN1 accepts has a tag of several bytes, which checkDER refuses.
func hasHighTag(data []byte) bool {
	for len(data) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(data, &v)
		if err != nil || v.Tag > 30 || v.IsCompound && hasHighTag(v.Bytes) {
			return true
		}
		data = rest
	}
	return false
}

// FuzzCheckDER: the walk by hand takes what encoding/asn1 takes, but for tags of several bytes, and nothing else.
func FuzzCheckDER(f *testing.F) {
	for _, seed := range []string{"", "0", "\x30\x03\x02\x01\x05", "\x30\x80\x00\x00", "\x04\x81\x7f", "\x04\x82\x00\xff",
		"\x1f\x81\x00\x00", "\x04\x81\x80" + string(make([]byte, 128)), "\x24\x82\x01\x00" + string(make([]byte, 256)),
		"\x04\x84\x00\x00\x00\x01\x00", "\x30\x02\x30\x01", "\x04\x83\x01\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, want := checkDER(data, 0) == nil, walkASN1(data, 0)
		if got != want && (got || !hasHighTag(data)) {
			t.Errorf("%x: got %v, encoding/asn1 says %v", data, got, want)
		}
	})
}
