package pin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/avow-dev/avow/internal/trustroot"
	"github.com/avow-dev/avow/internal/wholefile"
	"github.com/avow-dev/avow/verify"
)

const (
	// maxRootBytes is the largest TUF root, as in go-tuf.
	maxRootBytes = 512_000
	// maxMetadataBytes is the largest snapshot or targets file.
	maxMetadataBytes = 512_000
	// maxRootRotations is how many new roots one update follows.
	maxRootRotations = 256
	// requestTime is how long one file may take.
	requestTime = 30 * time.Second
)

// Client follows TUF repositories.
type Client struct {
	// Store keeps the pins. Required.
	Store Store
	// Transport makes the requests. Required.
	Transport http.RoundTripper
	// Now is the clock. Required.
	Now func() time.Time
}

// Result is what a pin or an update brought.
type Result struct {
	Pin *Pin
	// Changes are what the new trusted root changes; all of its entries for a new pin.
	Changes []trustroot.Change
	// RootFrom is the version of the TUF root before; 0 for a new pin.
	RootFrom int64
}

// Pin pins a repository under a name that is free. anchor is the first root where the caller has it from another channel;
// nil has it fetched, as 1.root.json. want is the anchor's fingerprint; "" takes any, on first use.
func (c *Client) Pin(ctx context.Context, name string, base *url.URL, anchor []byte, want string) (*Result, error) {
	unlock, err := c.Store.claim(name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	f := &fetcher{ctx: ctx, base: strings.TrimSuffix(base.String(), "/"), transport: c.Transport}
	if anchor == nil {
		if anchor, err = f.DownloadFile(f.base+"/1.root.json", maxRootBytes, 0); err != nil {
			return nil, classify(err, f.last)
		}
	}
	if got := Fingerprint(anchor); want != "" && got != want {
		return nil, refuse(CodeFingerprint, nil, "the first root of %s has fingerprint %s, want %s", f.base, got, want)
	}
	now := c.Now().UTC()
	p := &Pin{Name: name, Kind: KindTUF, Address: f.base, Fingerprint: Fingerprint(anchor), PinnedAt: now}
	return c.follow(f, p, anchor, nil)
}

// free reports an error if the name is taken.
func (s Store) free(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(s.Dir, name, "pin.json")); !errors.Is(err, fs.ErrNotExist) {
		return &Error{Code: CodePin, Message: fmt.Sprintf("%s is pinned already", name), Err: err,
			Hint: "`avow trust update` follows it; `avow trust unpin` forgets it"}
	}
	return nil
}

// claim locks a name that is free.
func (s Store) claim(name string) (unlock func(), err error) {
	if err := s.free(name); err != nil {
		return nil, err
	}
	if unlock, err = s.lock(name); err != nil {
		return nil, err
	}
	if err := s.free(name); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// reload locks a pin and reads what is in force now.
func (s Store) reload(p *Pin) (*Pin, func(), error) {
	unlock, err := s.lock(p.Name)
	if err != nil {
		return nil, nil, err
	}
	if p, err = s.Load(p.Name); err != nil {
		unlock()
	}
	return p, unlock, err
}

// Update follows the repository of a pin. On any error the pin is as it was.
func (c *Client) Update(ctx context.Context, p *Pin) (*Result, error) {
	p, unlock, err := c.Store.reload(p)
	if err != nil {
		return nil, err
	}
	defer unlock()
	old, err := p.TrustedRoot()
	if err != nil {
		return nil, err
	}
	root, err := wholefile.Read(filepath.Join(p.dir, p.Generation, "root.json"), maxRootBytes)
	if err != nil {
		return nil, damaged(p.Name, err)
	}
	next := *p
	return c.follow(&fetcher{ctx: ctx, base: p.Address, transport: c.Transport}, &next, root, old)
}

// follow runs the client workflow into a new generation.
func (c *Client) follow(f *fetcher, p *Pin, root, old []byte) (_ *Result, err error) {
	dir, err := c.Store.begin(p.Name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	for _, role := range []string{metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS} {
		if old == nil {
			break
		}
		data, err := wholefile.Read(filepath.Join(p.dir, p.Generation, role+".json"), maxMetadataBytes)
		if err != nil {
			return nil, damaged(p.Name, err) // without it nothing would guard against older metadata
		}
		if err := wholefile.Replace(filepath.Join(dir, role+".json"), data, 0o600); err != nil {
			return nil, err
		}
	}
	result := &Result{Pin: p, RootFrom: p.RootVersion}
	files, err := c.refresh(f, p, root, dir)
	if err != nil {
		return nil, classify(err, f.last)
	}
	if result.Changes, err = changes(old, files[trustedRootFile]); err != nil {
		return nil, err
	}
	p.UpdatedAt = c.Now().UTC()
	return result, c.Store.commit(p, dir, files)
}

// refresh asks the repository and returns the targets.
func (c *Client) refresh(f *fetcher, p *Pin, root []byte, dir string) (map[string][]byte, error) {
	cfg, err := config.New(f.base, root)
	if err != nil {
		return nil, err
	}
	cfg.Fetcher, cfg.LocalMetadataDir, cfg.LocalTargetsDir = f, dir, filepath.Join(dir, "targets")
	cfg.RootMaxLength, cfg.SnapshotMaxLength, cfg.TargetsMaxLength = maxRootBytes, maxMetadataBytes, maxMetadataBytes
	cfg.MaxRootRotations, cfg.MaxDelegations = maxRootRotations, 1
	u, err := updater.New(cfg)
	if err != nil {
		return nil, err
	}
	u.UnsafeSetRefTime(c.Now().UTC()) // the caller's clock: the machine's, but in tests
	if err := u.Refresh(); err != nil {
		return nil, err
	}
	trusted := u.GetTrustedMetadataSet()
	p.RootVersion = trusted.Root.Signed.Version
	p.Expires = map[string]time.Time{
		metadata.ROOT: trusted.Root.Signed.Expires, metadata.TIMESTAMP: trusted.Timestamp.Signed.Expires,
		metadata.SNAPSHOT: trusted.Snapshot.Signed.Expires, metadata.TARGETS: trusted.Targets[metadata.TARGETS].Signed.Expires,
	}
	files := map[string][]byte{}
	for _, name := range []string{trustedRootFile, signingConfigFile, indexLogFile} {
		info, ok := u.GetTopLevelTargets()[name]
		if !ok && name == trustedRootFile {
			return nil, refuse(CodeMalformed, nil, "the repository has no target %s", name)
		}
		if !ok {
			continue
		}
		if info.Length < 0 || info.Length > verify.MaxTrustBytes {
			return nil, refuse(CodeTooLarge, nil, "%s is said to have %d bytes, want at most %d", name, info.Length, verify.MaxTrustBytes)
		}
		_, data, err := u.FindCachedTarget(info, "")
		if err == nil && data == nil {
			_, data, err = u.DownloadTarget(info, "", "")
		}
		if err != nil {
			return nil, err
		}
		files[name] = data
	}
	if p.IndexLogKey, err = indexKey(files[indexLogFile]); err != nil {
		return nil, err
	}
	return files, nil
}

// indexKey reads the key of an index log; without a file there is none.
func indexKey(data []byte) (string, error) {
	key := strings.TrimSuffix(string(data), "\n")
	if key == "" {
		return "", nil
	}
	if _, err := verify.ParseLogKey(key); err != nil {
		return "", refuse(CodeMalformed, err, "the key of the index log cannot be used: %s", short(err))
	}
	return key, nil
}

// changes compares two trusted roots; the new one must be usable.
func changes(old, fresh []byte) ([]trustroot.Change, error) {
	to, err := trustroot.Parse(fresh)
	if err != nil {
		return nil, refuse(CodeMalformed, err, "the trusted root cannot be used: %s", short(err))
	}
	from := &trustroot.Root{}
	if old != nil {
		if from, err = trustroot.Parse(old); err != nil {
			return nil, err
		}
	}
	return trustroot.Diff(from, to), nil
}

// Offer is what a service without TUF offers.
type Offer struct {
	// TrustedRoot is its trusted_root.json.
	TrustedRoot []byte
	// IndexKey is the verifier key of its index log; empty if it has none.
	IndexKey string
}

// KeyFingerprint is "sha256:" and the SHA-256 of the file index_log.vkey with a verifier key: the key and a newline.
func KeyFingerprint(vkey string) string { return Fingerprint([]byte(vkey + "\n")) }

// PinServer pins the trusted root of a service without TUF, and the key of its index log, under a name that is free; want is the
// fingerprint of the trusted root, or "".
func (c *Client) PinServer(name, address string, offered Offer, want string) (*Result, error) {
	unlock, err := c.Store.claim(name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if got := Fingerprint(offered.TrustedRoot); want != "" && got != want {
		return nil, refuse(CodeFingerprint, nil, "the trusted root of %s has fingerprint %s, want %s", address, got, want)
	}
	now := c.Now().UTC()
	p := &Pin{Name: name, Kind: KindServer, Address: address, Fingerprint: Fingerprint(offered.TrustedRoot), PinnedAt: now, UpdatedAt: now}
	if p.IndexLogKey, err = indexKey([]byte(offered.IndexKey)); err != nil {
		return nil, err
	}
	return c.take(p, nil, offered.TrustedRoot)
}

// UpdateServer compares what a service offers with what is pinned. Another root is refused, with the changes in the result,
// unless accept is its fingerprint, and so is another key of the index log ([KeyFingerprint]). A service that offers no key changes none.
func (c *Client) UpdateServer(p *Pin, offered Offer, accept string) (*Result, error) {
	p, unlock, err := c.Store.reload(p)
	if err != nil {
		return nil, err
	}
	defer unlock()
	old, err := p.TrustedRoot()
	if err != nil {
		return nil, err
	}
	next := *p
	next.UpdatedAt = c.Now().UTC()
	key, err := indexKey([]byte(offered.IndexKey))
	if err != nil {
		return nil, err
	}
	trusted := offered.TrustedRoot
	if got := Fingerprint(trusted); got != "sha256:"+p.TrustedRootSHA256 && got != accept {
		if accept != "" && key != "" && accept == KeyFingerprint(key) {
			trusted = old // the key alone was accepted
		} else {
			diff, err := changes(old, trusted)
			if err != nil {
				return nil, err
			}
			return &Result{Pin: p, Changes: diff}, &Error{Code: CodeChanged,
				Message: fmt.Sprintf("%s offers another trusted root, %s, than the pinned sha256:%s", p.Address, got, p.TrustedRootSHA256),
				Hint:    "ask the operator on another channel for the digest of the new root, then give it with --accept"}
		}
	}
	switch {
	case key == "" || key == p.IndexLogKey:
	case accept == KeyFingerprint(key):
		next.IndexLogKey = key
	case accept != "" && accept == Fingerprint(trusted): // the root alone was accepted; the key stays what it is
	default:
		return nil, &Error{Code: CodeChanged,
			Message: fmt.Sprintf("%s offers the key %.200q of its index log, %s, and pinned is %.200q", p.Address, key, KeyFingerprint(key), p.IndexLogKey),
			Hint:    "ask the operator on another channel for the key, then give the digest of index_log.vkey with --accept"}
	}
	return c.take(&next, old, trusted)
}

// take makes a trusted root the one in force.
func (c *Client) take(p *Pin, old, trusted []byte) (*Result, error) {
	diff, err := changes(old, trusted)
	if err != nil {
		return nil, err
	}
	dir, err := c.Store.begin(p.Name)
	if err != nil {
		return nil, err
	}
	if err := c.Store.commit(p, dir, map[string][]byte{trustedRootFile: trusted}); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Result{Pin: p, Changes: diff}, nil
}

// fetcher asks one repository, and nobody else. It implements go-tuf's fetcher.Fetcher.
type fetcher struct {
	ctx       context.Context //nolint:containedctx // go-tuf's interface has no room for it
	base      string
	transport http.RoundTripper
	last      string // the file that was asked for last
}

// DownloadFile implements fetcher.Fetcher.
func (f *fetcher) DownloadFile(address string, limit int64, _ time.Duration) ([]byte, error) {
	name, ok := strings.CutPrefix(address, f.base+"/")
	if !ok {
		return nil, refuse(CodeRedirect, nil, "%.200q lies outside of the repository", address)
	}
	f.last = fmt.Sprintf("%.120s", name)
	ctx, cancel := context.WithTimeout(f.ctx, requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, refuse(CodeOutage, err, "no request for %s", f.last)
	}
	resp, err := f.transport.RoundTrip(req) // below http.Client: no redirects, no cookies
	if err != nil {
		return nil, refuse(CodeOutage, err, "no answer for %s: %s", f.last, short(err))
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, refuse(CodeRedirect, nil, "asked for %s, the repository sends to %.200q", f.last, resp.Header.Get("Location"))
	case resp.StatusCode == http.StatusNotFound:
		return nil, &metadata.ErrDownloadHTTP{StatusCode: resp.StatusCode, URL: address}
	case resp.StatusCode != http.StatusOK:
		return nil, refuse(CodeOutage, nil, "asked for %s, the answer is %d", f.last, resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, refuse(CodeOutage, err, "the answer for %s breaks off", f.last)
	case int64(len(data)) > limit:
		return nil, refuse(CodeTooLarge, nil, "%s has more than the %d bytes that it may have", f.last, limit)
	}
	return data, nil
}
