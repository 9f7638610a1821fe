package draft

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
)

// harFile is what is read of an HTTP Archive 1.2. Bodies, headers, cookies and
// query strings are not: they hold what the draft must not.
type harFile struct {
	Log struct {
		Entries []struct {
			Request struct {
				URL string `json:"url"`
			} `json:"request"`
		} `json:"entries"`
	} `json:"log"`
}

// schemes are the URL schemes of peers, with IANA's port and service name.
var schemes = map[string]struct {
	port        int
	application string
	tls         string
}{"https": {443, "https", "yes"}, "http": {80, "http", ""}, "wss": {443, "https", "yes"}, "ws": {80, "http", ""}}

func readHAR(data []byte) (*Findings, error) {
	var file harFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("HAR: %w", err)
	}
	f := &Findings{Observed: true, Kind: "flowCapture"}
	at := map[string]int{}
	for i := range file.Log.Entries {
		p, ok := peerOfURL(file.Log.Entries[i].Request.URL)
		if !ok {
			f.note("entry %d names no peer, and is left out", i)
			continue
		}
		key := p.Host + "|" + p.Application + "|" + strconv.Itoa(p.Port)
		if n, ok := at[key]; ok {
			f.Peers[n].Connections++
			continue
		}
		if at[key] = len(f.Peers); len(f.Peers) == MaxPeers {
			return nil, fmt.Errorf("HAR: more than %d peers", MaxPeers)
		}
		f.add(p)
	}
	if len(file.Log.Entries) == 0 {
		return nil, errors.New("HAR: there are no entries")
	}
	return f, nil
}

// peerOfURL is the peer that a URL names. Nothing is fetched.
func peerOfURL(s string) (Peer, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return Peer{}, false
	}
	scheme, ok := schemes[u.Scheme]
	if !ok {
		return Peer{}, false
	}
	p := Peer{Host: u.Hostname(), Port: scheme.port, Transport: "tcp", Application: scheme.application, TLS: scheme.tls, Connections: 1}
	if port := u.Port(); port != "" {
		if p.Port, err = strconv.Atoi(port); err != nil || p.Port < 1 || p.Port > 65535 {
			return Peer{}, false
		}
	}
	return p, true
}
