package draft

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

// options are those of a draft of flows.
func options(t testing.TB, peers ...observation.Peer) *predicate.DraftOptions {
	t.Helper()
	f, err := Read(observed(t, peers...))
	if err != nil {
		t.Fatal(err)
	}
	flows, err := Compose([]*Findings{f})
	if err != nil {
		t.Fatal(err)
	}
	return &predicate.DraftOptions{Flows: flows, Subjects: f.Subjects, Now: day, Scope: &predicate.Scope{Configuration: "asShipped"},
		Completeness: &predicate.Completeness{Level: "partial", Methods: []string{"flowCapture"}}}
}

// answers are those to the questions about a vendor and one flow.
var answers = []string{"Example Gateway, 1.2.3", "Example Devices, GmbH, DE", "manufacturer, Head of Product Security, delegatedInWriting, soleResponsibility",
	"systemRoots", "vendor", "updateCheck+softwareUpdate: softwareInventory none, instanceIdentifier pseudonymous", "feature, update.enabled=false"}

// TestInterview: a program with two peers is declared with at most ten answers, and lint has nothing to say but that nobody else looked.
func TestInterview(t *testing.T) {
	o := options(t, peer("updates.acme.example"), peer("time.example", func(p *observation.Peer) { p.Transport, p.Port, p.Application, p.TLSVersion = "udp", 123, "ntp", "" }))
	questions := Questions(o)
	all := append(answers[:len(answers):len(answers)], "NTP Pool Project, anywhere, publicService", "timeSynchronisation: nothing", "core, no")
	if len(questions) != len(all) || len(questions) > MaxQuestions {
		t.Fatalf("%d questions, want %d", len(questions), len(all))
	}
	for n := range questions {
		if err := questions[n].Answer(all[n]); err != nil {
			t.Errorf("%s: %s: %v", questions[n].Text, all[n], err)
		}
	}
	draft, err := predicate.NewDataFlowsDraft(*o)
	if err != nil {
		t.Fatal(err)
	}
	if findings := predicate.Lint(draft, nil); findings.Err() != nil {
		t.Fatalf("%v\n%s", findings.Err(), draft)
	}
	s, err := predicate.Parse(draft, predicate.Issuance)
	if err != nil {
		t.Fatal(err)
	}
	f := s.DataFlows.Flows[0]
	if s.DataFlows.Common.Declarant.Party.Name != "Example Devices, GmbH" || f.Recipients[0].Role != "declarant" || f.Recipients[0].Storage[0] != "anywhere" ||
		f.Sends[1].Linked != "linkedToDevice" || f.Receives[0].Category != "softwareImage" || f.Activation.Control.Setting != "update.enabled=false" {
		t.Errorf("got %+v", f)
	}
}

// TestTenQuestions: however many flows there are. Those that are not asked about stay open as a whole.
func TestTenQuestions(t *testing.T) {
	var peers []observation.Peer
	for n := range 9 {
		peers = append(peers, peer(fmt.Sprintf("n%d.example", n)))
	}
	o := options(t, peers...)
	questions := Questions(o)
	if len(questions) != MaxQuestions {
		t.Fatalf("%d questions", len(questions))
	}
	for n := range questions {
		if err := questions[n].Answer(""); err != nil || o.Flows[0].Purposes != nil {
			t.Errorf("an empty answer: %v", err)
		}
	}
	o.Like = &predicate.Statement{}
	if got := len(Questions(o)); got != MaxQuestions {
		t.Errorf("with a statement to take the vendor from: %d questions", got)
	}
}

// TestAnswersRefused: a wrong answer says what is wrong, and changes nothing.
func TestAnswersRefused(t *testing.T) {
	for n, bad := range map[int]map[string]string{
		0: {"Gateway": "got 1 parts, want 2", "Gateway, ": "part 2 is empty"},
		1: {"Example": "want a name and the code", "Example, XX": `"XX" is not the ISO 3166-1 code`},
		2: {"a, b, c": "got 3 parts, want 4", "boss, Head, delegatedInWriting, soleResponsibility": `"boss" is none of manufacturer`},
		3: {"yes": `"yes" is none of systemRoots`},
		4: {"vendor": "it is not known who the vendor is", "Acme": "want a name", strings.Repeat("x", maxText+1): "one line of at most 200", "a\tb, DE": "one line"},
		5: {"updateCheck": "no colon", "checking: nothing": `"checking" is none of`, "updateCheck: softwareInventory": "is not CATEGORY PERSONAL", "updateCheck: versions none": `"versions" is none of`},
		6: {"feature": "got 1 parts", "nice, no": `"nice" is none of core`},
	} {
		for answer, want := range bad {
			o := options(t, peer("updates.acme.example"))
			before, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			q := Questions(o)[n]
			if err := q.Answer(answer); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q: got %v, want %q", q.Text, answer, err, want)
			}
			if after, err := json.Marshal(o); err != nil || string(after) != string(before) {
				t.Errorf("%s: %q: something has changed", q.Text, answer)
			}
		}
	}
}

// TestCustomer: a system that the customer runs has no other members.
func TestCustomer(t *testing.T) {
	o := options(t, peer("updates.acme.example"))
	q := Questions(o)[4]
	if err := q.Answer("customer"); err != nil || o.Flows[0].Recipients[0].Role != "customer" || o.Flows[0].Recipients[0].Party != nil {
		t.Errorf("%v: %+v", err, o.Flows[0].Recipients)
	}
}
