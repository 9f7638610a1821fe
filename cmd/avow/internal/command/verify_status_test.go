package command

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/standingtest"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/standing"
)

// watched is what a buyer holds about a release of which the status can be had, in a directory.
type watched struct {
	*standingtest.World
	t         *testing.T
	dir       string
	args      []string // of verify
	target    string
	successor *ecdsa.PrivateKey
}

const (
	targetOfAssessment = "ae337ac1cb5dd361659a4faad01ea6e21a69c7b16d7cfb5769448188686d860b"
	targetOfExamples   = "2ffaec0dcc4e4a186dd534c6172d72e5b00118b9c9dbdcb363b2833890f75319"
	checkedAt          = "2026-09-02T12:00:00Z"
)

// seenAt is when the witnesses saw the status, an hour before it is asked for.
var seenAt = time.Date(2026, 9, 2, 11, 0, 0, 0, time.UTC)

func newWatched(t *testing.T) *watched {
	t.Helper()
	r := &watched{World: standingtest.New(t), t: t, dir: t.TempDir(), successor: bundletest.NewKey(t)}
	payload := bundletest.Statement(t, "data-flows")
	at := r.Issue(bundletest.Spec{Payload: payload})
	r.target = "sha256:" + sha256Hex(payload)
	for name, key := range map[string]*ecdsa.PrivateKey{"vendor.pub": r.Vendor, "successor.pub": r.successor} {
		public, err := attest.MarshalPublicKey(&key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		r.write(name, public)
	}
	r.args = []string{"verify", "sha256:" + bundletest.ArtifactSHA256, "--bundle", r.write("b.sigstore.json", r.Bundles[at]), "--trusted-root",
		r.write("trusted_root.json", r.TrustedRoot()), "--key", r.path("vendor.pub"), "--at", checkedAt}
	r.write("index_log.vkey", []byte(r.Roots.VKey(t)+"\n"))
	r.write("witnesses.txt", r.WitnessPolicy())
	r.Publish()
	return r
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (r *watched) path(name string) string { return filepath.Join(r.dir, name) }

func (r *watched) write(name string, data []byte) string {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), data, 0o600); err != nil {
		r.t.Fatal(err)
	}
	return r.path(name)
}

// say logs an example of a type about the release, by a key.
func (r *watched) say(key *ecdsa.PrivateKey, kind string, oldNew ...string) {
	r.t.Helper()
	target := targetOfExamples
	if kind == "assessment" {
		target = targetOfAssessment
	}
	oldNew = append([]string{target, strings.TrimPrefix(r.target, "sha256:")}, oldNew...)
	r.Issue(bundletest.Spec{Payload: bundletest.Statement(r.t, kind, oldNew...), Key: key})
	r.Publish()
}

// status writes the status of the release as of now, in binary.
func (r *watched) status(name string) string {
	r.t.Helper()
	data, err := standing.Marshal(r.bundle())
	if err != nil {
		r.t.Fatal(err)
	}
	return r.write(name, data)
}

func (r *watched) bundle() *statusv1.StatusBundle {
	id, err := attest.KeyID(&r.Vendor.PublicKey)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.Status(r.target, index.KeySigner(id), seenAt)
}

// verify runs verify with more arguments.
func (r *watched) verify(more ...string) (int, string) {
	r.t.Helper()
	code, out, errOut := runAvow(r.t, append(r.args[:len(r.args):len(r.args)], more...)...)
	return code, out + errOut
}

func (r *watched) want(code int, says string, more ...string) {
	r.t.Helper()
	got, out := r.verify(more...)
	if got != code || !strings.Contains(out, says) {
		r.t.Errorf("%q: exit code %d, want %d with %q in\n%s", more, got, code, says, out)
	}
	if code == exitError && !strings.Contains(out, "hint: ") {
		r.t.Errorf("%q: no hint in\n%s", more, out)
	}
}

// TestStatusStory: in force as of T, then stale, and withdrawn with the newer file.
func TestStatusStory(t *testing.T) {
	r := newWatched(t)
	old := r.status("old.status")
	r.want(exitYes, "\n  ----  standing                no status was given: whether anything was withdrawn is not shown\n")
	mine := []string{"--status", old, "--status-time", "2026-09-02T11:00:00Z"}
	r.want(exitYes, "\n  ok    standing                1 statement in force as of 2026-09-02T11:00:00Z, the time that you gave; the operator is trusted for it\n", mine...)
	r.want(exitYes, "Standing        in force as of 2026-09-02T11:00:00Z, the time that you gave", mine...)
	r.want(exitNo, "b.sigstore.json is stale: as of 2026-09-02T11:00:00Z, which is 1h0m0s before", append(mine, "--max-staleness", "30m")...)
	r.want(exitNo, "--status-time", "--status", old)
	r.want(exitNo, "unknown (NO_TIME)", "--status", old)
	r.want(exitNo, "\n  FAIL  validity                expired at ", append(mine, "--at", "2027-10-01T00:00:00Z", "--max-staleness", "20000h")...)
	r.say(r.Vendor, "withdrawal")
	newer := r.status("newer.status")
	r.want(exitNo, "is withdrawn: withdrawn by entry", "--status", newer)
	r.want(exitNo, "got: withdrawn (WITHDRAWAL): ", "--status", newer)
	r.want(exitNo, "is withdrawn", "--status", newer, "--max-staleness", "1s", "--status-time", "2026-09-01T12:00:00Z")
	both, err := standing.MarshalSetJSON(&statusv1.StatusSet{Entries: []*statusv1.StatusEntry{{Status: parsed(t, old)}, {Status: parsed(t, newer)}}})
	if err != nil {
		t.Fatal(err)
	}
	r.want(exitNo, "is withdrawn", "--status", r.write("both.json", both), "--status-time", "2026-09-02T11:00:00Z")
}

func parsed(t *testing.T, path string) *statusv1.StatusBundle {
	t.Helper()
	b, err := standing.Parse(readFile(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestStatusWitnessed: the witnesses say as of when it is, and they are the same for both logs and the bundle.
func TestStatusWitnessed(t *testing.T) {
	r := newWatched(t)
	payload := bundletest.Statement(t, "data-flows", "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-0000000000aa")
	at := r.Issue(bundletest.Spec{Payload: payload, Checkpoint: func(l *bundletest.Log) string {
		return l.Checkpoint(t, r.Cosigners(bundletest.Epoch.Add(time.Minute))...)
	}})
	r.Publish()
	r.target = "sha256:" + sha256Hex(payload)
	r.write("b.sigstore.json", r.Bundles[at])
	s := r.status("s.status")
	witnessed := []string{"--status", s, "--witness-policy", r.path("witnesses.txt")}
	r.want(exitYes, "in force as of 2026-09-02T11:00:00Z, by the word of 3 witnesses", witnessed...)
	r.want(exitNo, "is stale", append(witnessed, "--max-staleness", "59m")...)
	r.want(exitError, "leave it out, or --witness-policy", append(witnessed, "--status-time", "2026-09-02T11:00:00Z")...)
	b := parsed(t, s)
	b.IndexCheckpoint = r.Roots.Checkpoint(t, r.Cosigners(seenAt)[:1]...)
	data, err := standing.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	r.want(exitNo, "unknown (STATUS_QUORUM)", "--status", r.write("few.status", data), "--witness-policy", r.path("witnesses.txt"))
}

// TestStatusStandings: what is said about a statement, by whom, and what becomes of the verdict.
func TestStatusStandings(t *testing.T) {
	when := []string{"--status-time", "2026-09-02T11:00:00Z"}
	for name, c := range map[string]struct {
		say  func(*watched)
		more func(*watched) []string
		code int
		says string
	}{
		"partly withdrawn": {func(r *watched) { r.say(r.Vendor, "withdrawal", `"reason"`, `"items": ["F1"], "reason"`) }, nil, exitYes,
			"\n  warn  standing                1 statement in force as of 2026-09-02T11:00:00Z, the time that you gave; the operator is trusted for it; partly withdrawn: F1 of "},
		"withdrawn by a stranger": {func(r *watched) { r.say(r.successor, "withdrawal") }, nil, exitNo, "unknown (FOREIGN_WITHDRAWAL)"},
		"withdrawn by a named successor": {func(r *watched) { r.say(r.successor, "withdrawal") },
			func(r *watched) []string { return []string{"--withdrawer", r.path("successor.pub")} }, exitNo, "withdrawn (WITHDRAWAL)"},
		"disputed": {func(r *watched) { r.say(r.successor, "dispute") }, nil, exitYes, "; 1 open dispute of "},
		"the dispute is shown": {func(r *watched) { r.say(r.successor, "dispute") }, nil, exitYes,
			"Open dispute"},
		"assessed": {func(r *watched) { r.say(r.successor, "assessment") }, nil, exitYes, "Assessment"},
		"something unreadable": {func(r *watched) {
			at := r.Issue(bundletest.Spec{Payload: bundletest.Statement(r.t, "withdrawal")})
			delete(r.Payloads, at)
			r.Publish()
		}, nil, exitNo, "unknown (UNRESOLVED)"},
		"superseded": {func(r *watched) {
			r.Issue(bundletest.Spec{Payload: bundletest.Statement(r.t, "data-flows", `"validity"`, `"supersedes": [{"digest": {"sha256": "`+
				strings.TrimPrefix(r.target, "sha256:")+`"}, "predicateType": "https://w3id.org/avow/data-flows/v1"}], "validity"`)})
			r.Publish()
		}, nil, exitNo, "superseded (SUCCESSOR)"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWatched(t)
			c.say(r)
			more := append([]string{"--status", r.status("s.status")}, when...)
			if c.more != nil {
				more = append(more, c.more(r)...)
			}
			r.want(c.code, c.says, more...)
		})
	}
}

// TestStatusRefused: what is not the operator's status of this statement is a rejection with its code, and what is no status or
// cannot be asked is an error.
func TestStatusRefused(t *testing.T) {
	r := newWatched(t)
	s := r.status("s.status")
	when := []string{"--status-time", "2026-09-02T11:00:00Z"}
	good := r.bundle()
	for code, change := range map[string]func(*statusv1.StatusBundle){
		standing.CodeAbsent:     func(b *statusv1.StatusBundle) { b.Target = "sha256:" + strings.Repeat("0", 64) },
		standing.CodeCheckpoint: func(b *statusv1.StatusBundle) { b.Checkpoint = b.GetIndexCheckpoint() },
		standing.CodeRoot:       func(b *statusv1.StatusBundle) { b.IndexRoot += "x" },
		standing.CodeProof:      func(b *statusv1.StatusBundle) { b.About.Proof[4] ^= 1 },
		standing.CodeMalformed:  func(b *statusv1.StatusBundle) { b.About = nil },
	} {
		b := r.bundle()
		change(b)
		data, err := standing.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		want, says := exitNo, "unknown ("+code+")"
		if code == standing.CodeMalformed {
			want, says = exitError, code
		}
		r.want(want, says, append([]string{"--status", r.write("changed.status", data)}, when...)...)
	}
	other := newWatched(t)
	r.want(exitNo, "unknown (STATUS_CHECKPOINT)", append([]string{"--status", s, "--index-key", other.Roots.VKey(t)}, when...)...)
	r.want(exitYes, "in force", append([]string{"--status", s, "--index-key", r.Roots.VKey(t)}, when...)...)
	r.want(exitYes, "in force", append([]string{"--status", s, "--index-key", r.path("index_log.vkey")}, when...)...)
	text, err := protojson.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	r.want(exitYes, "in force", append([]string{"--status", r.write("s.json", text)}, when...)...)
	for says, more := range map[string][]string{
		"--max-staleness is about a status":     {"--max-staleness", "1h"},
		"--withdrawer is about a status":        {"--withdrawer", r.path("vendor.pub")},
		"--status names no file":                {"--status", ""},
		"--max-staleness must be more than 0":   {"--status", s, "--max-staleness", "0s"},
		"is not a time":                         {"--status", s, "--status-time", "yesterday"},
		"lies after the time of verification":   {"--status", s, "--status-time", "2026-09-03T11:00:00Z"},
		"no such file":                          {"--status", r.path("none")},
		"--index-key: cannot evaluate: log key": {"--status", s, "--index-key", "a+b+c"},
		"vendor.pub: cannot evaluate: log key":  {"--status", s, "--index-key", r.path("vendor.pub")},
		"does not tell how they stand":          {"--status", s, "--with-verdict", r.path("x"), "--verdict-key", r.path("vendor.pub")},
		"is also an input":                      {"--status", s, "-o", s},
	} {
		r.want(exitError, says, more...)
	}
	if err := os.Remove(r.path("index_log.vkey")); err != nil {
		t.Fatal(err)
	}
	r.want(exitError, "no key of the index log was given", append([]string{"--status", s}, when...)...)
}

// TestStatusReports: every format says how the statement stands, and the JSON holds all of it.
func TestStatusReports(t *testing.T) {
	r := newWatched(t)
	r.say(r.successor, "dispute")
	more := []string{"--status", r.status("s.status"), "--status-time", "2026-09-02T11:00:00Z", "--format"}
	for format, says := range map[string]string{
		"junit": `name="standing `, "sarif": `"ruleId":"standing"`, "markdown": "### How they stand", "html": "Open dispute",
	} {
		r.want(exitYes, says, append(more, format)...)
	}
	code, out := r.verify(append(more, "json")...)
	v := &avowv1.Verdict{}
	if err := protojson.Unmarshal([]byte(out), v); err != nil || code != exitYes {
		t.Fatal(code, err)
	}
	s := v.GetEvidence()[0].GetStanding()
	if s.GetStanding() != avowv1.Standing_STANDING_IN_FORCE || s.GetReason() != "NOTHING_SAID" || s.GetWitnessed() || !s.GetAsOf().AsTime().Equal(seenAt) ||
		len(s.GetSaid()) != 1 || s.GetSaid()[0].GetOwn() || s.GetSaid()[0].GetPredicateType() != "https://w3id.org/avow/dispute/v1" || len(s.GetSaid()[0].GetStatement()) == 0 {
		t.Errorf("standing: %v", s)
	}
	r.say(r.Vendor, "withdrawal")
	more[1] = r.status("s.status")
	code, out = r.verify(append(more, "json")...)
	if err := protojson.Unmarshal([]byte(out), v); err != nil || code != exitNo || v.GetOutcome() != avowv1.Outcome_OUTCOME_REJECTED ||
		v.GetEvidence()[0].GetStanding().GetStanding() != avowv1.Standing_STANDING_WITHDRAWN || len(v.GetEvidence()[0].GetStanding().GetSaid()) != 2 {
		t.Errorf("%d, %v: %s", code, err, out)
	}
}

// TestStatusOfList: one status file serves a whole list, and an entry that it says nothing about is rejected.
func TestStatusOfList(t *testing.T) {
	r := newWatched(t)
	other := strings.Repeat("ab", 32)
	at := r.Issue(bundletest.Spec{Payload: bundletest.Statement(t, "data-flows", bundletest.ArtifactSHA256, other, "000000000001", "0000000000ab")})
	r.Publish()
	list := r.write("SUMS", []byte(bundletest.ArtifactSHA256+"  a\n"+other+"  b\n"))
	more := []string{"verify", "--manifest", list, "--digests-only", "--bundle", r.path("b.sigstore.json"), "--bundle", r.write("o.sigstore.json", r.Bundles[at]),
		"--trusted-root", r.path("trusted_root.json"), "--key", r.path("vendor.pub"), "--at", checkedAt, "--status", r.status("s.status"),
		"--status-time", "2026-09-02T11:00:00Z"}
	code, out, errOut := runAvow(t, more...)
	if code != exitNo || !strings.Contains(out, "ACCEPTED  a") || !strings.Contains(out, "REJECTED  b") || !strings.Contains(out, "standing: ") {
		t.Errorf("exit code %d:\n%s%s", code, out, errOut)
	}
}
