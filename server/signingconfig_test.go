package server

import (
	"bytes"
	"encoding/json"
	"testing"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// TestSigningConfig: where clients are sent.
func TestSigningConfig(t *testing.T) {
	in := SigningConfigInput{PublicURL: "https://avow.example:8443/", Operator: origin, Start: issuedAt, OwnAuthority: true,
		ForeignAuthorities: []string{"https://tsa.example/sign"}}
	raw := must(SigningConfig(in))(t)
	type service struct {
		URL, Operator   string
		MajorAPIVersion int `json:"majorApiVersion"`
	}
	var got struct {
		MediaType     string
		RekorTlogUrls []service
		TsaUrls       []service
		TsaConfig     struct{ Selector string }
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.RekorTlogUrls) != 1 || got.RekorTlogUrls[0] != (service{"https://avow.example:8443", origin, 2}) {
		t.Errorf("log: %+v", got.RekorTlogUrls)
	}
	if len(got.TsaUrls) != 2 || got.TsaUrls[0] != (service{"https://avow.example:8443/api/v1/timestamp", origin, 1}) ||
		got.TsaUrls[1] != (service{"https://tsa.example/sign", "tsa.example", 1}) || got.TsaConfig.Selector != "ALL" {
		t.Errorf("authorities: %+v", got.TsaUrls)
	}
	for _, bad := range []string{"", "avow.example", "ftp://avow.example", "https://", "https://u:p@avow.example", "https://avow.example?x", "https://avow.example/#f"} {
		in.PublicURL = bad
		if _, err := SigningConfig(in); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	w := newWorld(t, func(w *world) { w.change = func(c *Config) { c.SigningConfig = raw } })
	if resp := must(w.trust().GetSigningConfig(t.Context(), &avowv1.GetSigningConfigRequest{}))(t); !bytes.Equal(resp.GetSigningConfig(), raw) {
		t.Errorf("answered %s", resp.GetSigningConfig())
	}
}
