package binscan

import (
	"bytes"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isWord(c byte) bool {
	return isLetter(c) || isDigit(c) || c == '.' || c == '-' || c == '_'
}
func printable(c byte) bool { return c >= ' ' && c < 0x7f }

const maxExample = 80

// urls looks for scheme://authority.
func (s *scanner) urls(b []byte, base int64, first, end int) {
	for from := first; from < end; {
		i := bytes.Index(b[from:min(end+2, len(b))], []byte("://"))
		if i < 0 || from+i >= end {
			return
		}
		at := from + i
		from = at + 3
		start := at
		for start > 0 && at-start < 16 && (isLetter(b[start-1]) || isDigit(b[start-1]) || strings.IndexByte("+.-", b[start-1]) >= 0) {
			start--
		}
		s.url(b, base, start, at+3)
	}
}

// url reads the authority that begins at the third argument.
func (s *scanner) url(b []byte, base int64, start, at int) {
	stop := at
	for stop < len(b) && stop-at < 1024 && printable(b[stop]) && strings.IndexByte("/?# \"'<>\\`{}|^,;()", b[stop]) < 0 {
		stop++
	}
	authority := string(b[at:stop])
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if user, password, ok := strings.Cut(authority[:i], ":"); ok && password != "" && !pattern(user+password) {
			s.secret("urlPassword", base+int64(at+len(user)+1), []byte(password), true)
		}
		authority = authority[i+1:]
	}
	// A space ends a URL in a sentence, or belongs to the string that follows this one: the end is open.
	host, open := authority, stop >= len(b) || printable(b[stop]) && strings.IndexByte("/?#\"'`\\", b[stop]) < 0
	if strings.HasPrefix(host, "[") {
		host, _, _ = strings.Cut(strings.TrimPrefix(host, "["), "]")
	} else if name, port, ok := strings.Cut(host, ":"); ok {
		host = name
		open = strings.IndexFunc(port, func(r rune) bool { return r < '0' || r > '9' }) >= 0
	}
	if host == "" {
		return // a bare "://", or file:///
	}
	if open {
		host = s.classify.end(strings.ToLower(host))
	}
	rest := stop
	for rest < len(b) && rest-stop < 200 && printable(b[rest]) && strings.IndexByte(" \"'<>\\`", b[rest]) < 0 {
		rest++
	}
	found := Host{Host: strings.ToLower(strings.TrimRight(host, ".")), Via: "url", Open: open, Offset: base + int64(at),
		Example: string(b[start:at]) + example(host+shown(string(b[stop:rest])))}
	if !validHost(found.Host) {
		found.Class, found.Why, found.Host = NotAHost, "no host name can be read here", example(found.Host)
	}
	s.host(found, string(b[stop:rest]))
}

// pattern reports whether text is a placeholder that a program fills in.
func pattern(text string) bool { return strings.ContainsAny(text, "%{}<>$*") }

func example(text string) string {
	if len(text) > maxExample {
		return text[:maxExample] + "..."
	}
	return text
}

// shown is what may be printed of a URL's path: no query, and no part that could be a token.
func shown(path string) string {
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if len(part) >= 20 && strings.ContainsAny(part, "0123456789") {
			parts[i] = "..."
		}
	}
	return strings.Join(parts, "/")
}

// validHost reports whether text is an IP address or can be a host name: labels of letters, digits and hyphens.
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if len(host) > maxHostBytes || host == "" {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

var port = regexp.MustCompile(`^:([0-9]{1,5})(?:[^0-9A-Za-z.:]|$)`)

// words looks at each run of the characters of host names: an address, host:port, or a string that is a host and nothing else.
func (s *scanner) words(b []byte, base int64, first, end int) {
	for i := first; i < end; {
		if !isWord(b[i]) {
			i++
			continue
		}
		stop := i
		for stop < len(b) && isWord(b[stop]) {
			stop++
		}
		if (i > first || first == 0 || !isWord(b[i-1])) && stop-i >= 4 && stop-i <= maxHostBytes && bytes.IndexByte(b[i:stop], '.') > 0 {
			s.word(b, base, i, stop)
		}
		i = stop
	}
}

func (s *scanner) word(b []byte, base int64, start, stop int) {
	text := strings.ToLower(string(b[start:stop]))
	if start >= 3 && string(b[start-3:start]) == "://" || start > 0 && (b[start-1] == '@' || b[start-1] == ':') {
		return // urls has it, or it is a port or an address' part
	}
	found := Host{Host: text, Offset: base + int64(start), Example: example(text)}
	hasPort := false
	if m := port.FindSubmatch(b[stop:min(stop+8, len(b))]); m != nil {
		n, err := strconv.Atoi(string(m[1]))
		hasPort = err == nil && n > 0 && n < 1<<16
	}
	if a, err := netip.ParseAddr(strings.Trim(text, ".-_")); err == nil && a.Is4() {
		found.Host, found.Via = a.String(), "address"
		s.host(found, "")
		return
	}
	if !validHost(text) || !s.classify.suffix(text) {
		return
	}
	// A string that is a host and nothing else: as C has it, between zero bytes. In Go programs only names of functions stand so.
	alone := s.result.Build == nil && start > 0 && b[start-1] == 0 && stop < len(b) && b[stop] == 0
	switch {
	case hasPort:
		found.Via = "hostPort"
	case alone:
		found.Via = "text"
	default:
		return
	}
	s.host(found, "")
}

// credential is a shape: a literal that it begins with, and the whole.
type credential struct {
	kind, anchor string
	whole        *regexp.Regexp
}

func credentials() []credential {
	shape := func(kind, anchor, whole string) credential {
		return credential{kind, anchor, regexp.MustCompile(`^` + whole)}
	}
	list := []credential{
		// The body must be there: libraries carry the line alone, to recognise it.
		shape("privateKey", "-----BEGIN ", `-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY-----(?:\\r|\\n|[\r\n])+(?:[A-Za-z-]{1,30}: [ -~]{1,80}(?:\\r|\\n|[\r\n])+){0,4}[A-Za-z0-9+/=]{40,}`),
		shape("gcpApiKey", "AIza", `AIza[0-9A-Za-z_-]{35}`),
		shape("githubToken", "github_pat_", `github_pat_[0-9A-Za-z_]{60,}`),
		shape("slackWebhook", "hooks.slack.com/services/", `hooks\.slack\.com/services/T[0-9A-Z]{8,}/B[0-9A-Z]{8,}/[0-9A-Za-z]{20,}`),
		shape("stripeKey", "sk_live_", `sk_live_[0-9A-Za-z]{24,}`),
	}
	for _, prefix := range []string{"AKIA", "ASIA"} {
		list = append(list, shape("awsAccessKey", prefix, prefix+`[0-9A-Z]{16}`))
	}
	for _, kind := range "pousr" {
		list = append(list, shape("githubToken", "gh"+string(kind)+"_", "gh"+string(kind)+`_[0-9A-Za-z]{36}`))
	}
	for _, kind := range "abprs" {
		list = append(list, shape("slackToken", "xox"+string(kind)+"-", "xox"+string(kind)+`-[0-9]{6,}-[0-9A-Za-z-]{10,}`))
	}
	return list
}

func (s *scanner) credentials(b []byte, base int64, first, end int) {
	for _, c := range s.classify.credentials {
		anchor := []byte(c.anchor)
		for from := first; from < end; {
			i := bytes.Index(b[from:min(end+len(anchor)-1, len(b))], anchor)
			if i < 0 {
				break
			}
			at := from + i
			from = at + len(anchor)
			if whole := c.whole.Find(b[at:min(at+8<<10, len(b))]); whole != nil && !alphabet(whole[len(anchor):]) {
				s.secret(c.kind, base+int64(at), whole, false)
			}
		}
	}
}

// alphabet reports whether text runs through the alphabet or repeats one character: a table of characters, or an example.
func alphabet(text []byte) bool {
	steps := 0
	for i := 1; i < len(text); i++ {
		if d := int(text[i]) - int(text[i-1]); d == 0 || d == 1 {
			steps++
		}
	}
	return len(text) > 8 && steps > len(text)*3/4
}
