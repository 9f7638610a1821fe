package predicate

import (
	"fmt"
	"slices"
	"strings"
)

// The predicate types of in-toto that are used as they are: documents that
// support a declaration, or speak against it. A statement of one is the word of
// its signer about what was seen; it declares nothing, and no rule lets it take
// the place of a declaration.
const (
	// RuntimeTraceType is in-toto's runtime trace. Of its monitors
	// FlowSummaryMonitor alone is accepted (attest/predicate/observation).
	RuntimeTraceType = "https://in-toto.io/attestation/runtime-trace/v0.1"
	// TestResultType is in-toto's test result: here, of a comparison of what was
	// observed with what is declared.
	TestResultType = "https://in-toto.io/attestation/test-result/v0.1"

	// FlowSummaryMonitor is the `monitor.type` of a runtime trace that is a
	// summary of network flows.
	FlowSummaryMonitor = "https://w3id.org/avow/monitor/flow-summary/v1"
)

const (
	// MaxEvidenceInteger is the largest number in a statement of [EvidenceTypes],
	// 2^53-1, because octets are counted in it; beyond it: R01. It is the largest
	// that every reader of JSON holds exactly (RFC 8259, section 6).
	MaxEvidenceInteger = 1<<53 - 1
	// MaxTests is the longest list of tests of one outcome; beyond it: R02.
	MaxTests = 4096
)

// EvidenceTypes returns the predicate types of in-toto that are parsed, issued
// and logged beside [Types]: the list is closed.
func EvidenceTypes() []string { return []string{RuntimeTraceType, TestResultType} }

// AllTypes returns [Types] and then [EvidenceTypes]: every type that is parsed.
func AllTypes() []string { return append(Types(), EvidenceTypes()...) }

// IsEvidence reports whether the statement is of one of [EvidenceTypes]: no
// declaration, and about no other statement.
func (s *Statement) IsEvidence() bool { return slices.Contains(EvidenceTypes(), s.Type) }

// TestResult is what is read of a test-result predicate.
type TestResult struct {
	// Result is PASSED, WARNED or FAILED.
	Result string
	// Passed, Warned and Failed are the names of tests; a list that is absent is nil.
	Passed, Warned, Failed []string
}

// testResults are the outcomes of in-toto's test-result predicate.
func testResults() []string { return []string{"PASSED", "WARNED", "FAILED"} }

// evidencePredicate checks the form of a reused predicate as far as anything
// here depends on it. What else is in it stays text that the signer wrote.
func (w *walker) evidencePredicate(n *node, s *Statement) {
	if !w.typed(n, kindObject) {
		return
	}
	w.sizes(n)
	if s.Type == RuntimeTraceType {
		w.runtimeTrace(n)
		return
	}
	s.TestResult = &TestResult{}
	w.testResult(n, s.TestResult)
}

// runtimeTrace asks for in-toto's members and for the monitor whose entries
// have a meaning here.
//
// > "`monitor.type` TypeURI, required. URI indicating the monitor's type."
// > (in-toto runtime-trace v0.1)
func (w *walker) runtimeTrace(n *node) {
	w.only(n, "monitor", "monitoredProcess", "monitorLog", "metadata")
	w.need(n, "monitor", kindObject, func(monitor *node) {
		w.need(monitor, "type", kindString, func(t *node) {
			if t.text != FlowSummaryMonitor {
				w.add(&w.shape, "R03", t.text, "write "+FlowSummaryMonitor+": no other monitor's trace is logged here",
					"is not the type of a monitor that is known here")
			}
		})
	})
	w.need(n, "monitorLog", kindObject, func(log *node) {
		w.need(log, "network", kindArray, func(list *node) {
			for i := range list.children {
				w.pushIndex(i)
				w.typed(&list.children[i], kindObject)
				w.pop()
			}
		})
	})
}

func (w *walker) testResult(n *node, r *TestResult) {
	w.only(n, "result", "configuration", "url", "passedTests", "warnedTests", "failedTests")
	w.need(n, "result", kindString, func(result *node) {
		if r.Result = result.text; !slices.Contains(testResults(), r.Result) {
			w.add(&w.shape, "R03", r.Result, "write one of: "+strings.Join(testResults(), ", "), "is not the outcome of a test")
		}
	})
	w.need(n, "configuration", kindArray, func(list *node) {
		for i := range list.children {
			w.pushIndex(i)
			w.typed(&list.children[i], kindObject)
			w.pop()
		}
	})
	if url := w.named(n, "url"); url != nil {
		w.pushKey("url")
		w.typed(url, kindString)
		w.pop()
	}
	r.Passed, r.Warned, r.Failed = w.tests(n, "passedTests"), w.tests(n, "warnedTests"), w.tests(n, "failedTests")
}

// tests reads a list of names of tests, which may be absent.
func (w *walker) tests(predicate *node, member string) []string {
	n := w.named(predicate, member)
	if n == nil {
		return nil
	}
	w.pushKey(member)
	defer w.pop()
	if !w.typed(n, kindArray) {
		return nil
	}
	if len(n.children) > MaxTests {
		w.bad("", fmt.Sprintf("the limit is %d", MaxTests), "list of %d elements, the limit is %d", len(n.children), MaxTests)
		return nil
	}
	list := make([]string, len(n.children))
	for i := range n.children {
		w.pushIndex(i)
		if child := &n.children[i]; w.typed(child, kindString) {
			if list[i] = child.text; strings.TrimSpace(child.text) == "" {
				w.bad(child.text, "write the name of the test", "name of a test is empty")
			}
		}
		w.pop()
	}
	return list
}

// need looks at a member that has to be there.
func (w *walker) need(n *node, member string, kind nodeKind, look func(*node)) {
	child := w.named(n, member)
	if child == nil {
		w.missing(member, "add it, as in-toto's predicate has it")
		return
	}
	w.pushKey(member)
	if w.typed(child, kind) {
		look(child)
	}
	w.pop()
}

// named returns a member, or nil, and refuses another spelling of it in both
// modes: what some readers take for the member decides what was tested.
func (w *walker) named(n *node, member string) *node {
	for i := range n.children {
		if key := n.children[i].key; key != member && len(key) <= maxKeyBytes && foldKey(key) == foldKey(member) {
			w.pushKey(key)
			w.bad(key, "write "+member, "another spelling of the member %s", member)
			w.pop()
		}
	}
	return n.member(member)
}

// only treats members that in-toto's version of the predicate does not have as
// [walker.unknown] treats those of the declarations.
func (w *walker) only(n *node, members ...string) {
	for i := range n.children {
		child := &n.children[i]
		switch {
		case slices.Contains(members, child.key):
		case w.mode == Consumption:
			w.ignored = true
		default:
			w.unknownFrame(child)
		}
	}
}

// sizes checks the lengths of names and strings. Unlike [walker.free] it has no
// opinion about texts: names of foreign traffic may look like placeholders.
func (w *walker) sizes(n *node) {
	w.texts(n, func(text *node) { w.fits(text) })
}
