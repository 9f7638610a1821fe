package observe

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/observe/internal/packetworld"
	"github.com/avow-dev/avow/attest/predicate/observation"
)

const (
	zeekConnTSV = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#open\t2026-09-01-08-00-00\n" +
		"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\n" +
		"#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\n" +
		"1788249601.000000\tC1\t10.0.0.2\t40001\t10.0.0.1\t53\tudp\tdns\t0.010000\t30\t60\tSF\n" +
		"1788249602.000000\tC2\t10.0.0.2\t40002\t192.0.2.7\t443\ttcp\tssl\t2.500000\t900\t5000\tSF\n" +
		"1788249603.000000\tC3\t10.0.0.2\t40003\t192.0.2.8\t80\ttcp\t-\t-\t-\t-\tS0\n" +
		"1788249604.000000\tC4\t10.0.0.2\t8\t192.0.2.8\t0\ticmp\t-\t-\t-\t-\tOTH\n#close\t2026-09-01-09-00-00\n"
	zeekDNSTSV = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n" +
		"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tquery\tqtype_name\trcode_name\tanswers\tTTLs\n" +
		"1788249601.000000\tC1\t10.0.0.2\t40001\t10.0.0.1\t53\tudp\twww.acme.example\tA\tNOERROR\tedge.cdn.example,192.0.2.8\t60.000000,60.000000\n" +
		"1788249601.000000\tC9\t10.0.0.2\t5353\t224.0.0.251\t5353\tudp\tbank.example\tA\tNOERROR\t192.0.2.9\t60.000000\n"
	zeekSSLJSON = `{"ts":1788249602.1,"uid":"C2","id.orig_h":"10.0.0.2","id.orig_p":40002,"id.resp_h":"192.0.2.7","id.resp_p":443,` +
		`"version":"TLSv13","cipher":"TLS_AES_128_GCM_SHA256","server_name":"api.acme.example","established":true}` + "\n" +
		`{"ts":1788249605.1,"uid":"C8","id.orig_h":"10.0.0.2","id.orig_p":40009,"id.resp_h":"192.0.2.9","id.resp_p":8443,"version":"TLSv12","server_name":"other.acme.example"}` + "\n"
	zeekConnJSON = `{"ts":"2026-09-01T08:00:02.000000Z","uid":"C2","id.orig_h":"10.0.0.2","id.orig_p":40002,"id.resp_h":"192.0.2.7","id.resp_p":443,` +
		`"proto":"tcp","service":"ssl","duration":2.5,"orig_bytes":900,"resp_bytes":5000,"conn_state":"SF"}` + "\n"
	conntrackList = "tcp      6 431999 ESTABLISHED src=10.0.0.2 dst=192.0.2.7 sport=40001 dport=443 packets=10 bytes=1500 src=192.0.2.7 dst=10.0.0.2 sport=443 dport=40001 packets=8 bytes=9000 [ASSURED] mark=0 use=1\n" +
		"ipv6     10 udp      17 29 src=fd00::2 dst=2001:db8::7 sport=40002 dport=123 src=2001:db8::7 dst=fd00::2 sport=123 dport=40002 mark=0 use=1\n" +
		"tcp      6 119 SYN_SENT src=10.0.0.2 dst=192.0.2.8 sport=40003 dport=25 [UNREPLIED] src=192.0.2.8 dst=10.0.0.2 sport=25 dport=40003 mark=0 use=1\n" +
		"conntrack v1.4.7 (conntrack-tools): 3 flow entries have been shown.\n"
	conntrackEvents = "[1788249601.000000]\t    [NEW] tcp      6 120 SYN_SENT src=10.0.0.2 dst=192.0.2.7 sport=40001 dport=443 [UNREPLIED] src=192.0.2.7 dst=10.0.0.2 sport=443 dport=40001\n" +
		"[1788249601.100000]\t [UPDATE] tcp      6 432000 ESTABLISHED src=10.0.0.2 dst=192.0.2.7 sport=40001 dport=443 src=192.0.2.7 dst=10.0.0.2 sport=443 dport=40001 [ASSURED]\n" +
		"[1788249609.000000]\t[DESTROY] tcp      6 src=10.0.0.2 dst=192.0.2.7 sport=40001 dport=443 packets=10 bytes=1500 src=192.0.2.7 dst=10.0.0.2 sport=443 dport=40001 packets=8 bytes=9000 [ASSURED]\n" +
		"[1788249610.000000]\t    [NEW] udp      17 30 src=10.0.0.2 dst=192.0.2.9 sport=40002 dport=123 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 sport=123 dport=40002\n"
	ssDump = "Netid State  Recv-Q Send-Q   Local Address:Port    Peer Address:Port Process\n" +
		"udp   UNCONN 0      0           127.0.0.53%lo:53           0.0.0.0:*     users:((\"resolved\",pid=1,fd=2))\n" +
		"tcp   LISTEN 0      128               0.0.0.0:8080         0.0.0.0:*     users:((\"agent\",pid=9,fd=3))\n" +
		"tcp   ESTAB  0      0                10.0.0.2:40001      192.0.2.7:443   users:((\"agent\",pid=9,fd=7))\n" +
		"tcp   ESTAB  0      0        [::ffff:10.0.0.2]:8080 [::ffff:10.0.0.7]:51000 users:((\"agent\",pid=9,fd=8))\n" +
		"tcp   SYN-SENT 0    1       [fd00::2%eth0]:40002 [2001:db8::7]:25   users:((\"agent\",pid=9,fd=9))\n"
	hubbleFlows = `{"flow":{"time":"2026-09-01T08:00:00.5Z","verdict":"FORWARDED","IP":{"source":"10.0.1.5","destination":"10.0.0.10","ipVersion":"IPv4"},"l4":{"UDP":{"source_port":40000,"destination_port":53}},"source":{"namespace":"shop","pod_name":"agent-1"},"Type":"L7","l7":{"type":"RESPONSE","dns":{"query":"api.acme.example.","ips":["192.0.2.7"],"ttl":30,"rcode":0,"qtypes":["A"]}},"is_reply":true,"traffic_direction":"INGRESS"},"node_name":"n1","time":"2026-09-01T08:00:00.5Z"}
{"flow":{"time":"2026-09-01T08:00:01Z","verdict":"FORWARDED","IP":{"source":"10.0.1.5","destination":"192.0.2.7"},"l4":{"TCP":{"source_port":40001,"destination_port":443,"flags":{"SYN":true}}},"source":{"namespace":"shop","pod_name":"agent-1"},"Type":"L3_L4","is_reply":false,"traffic_direction":"EGRESS"},"node_name":"n1"}
{"flow":{"time":"2026-09-01T08:00:02Z","verdict":"FORWARDED","IP":{"source":"192.0.2.7","destination":"10.0.1.5"},"l4":{"TCP":{"source_port":443,"destination_port":40001,"flags":{"ACK":true}}},"Type":"L3_L4","is_reply":true,"traffic_direction":"INGRESS"},"node_name":"n1"}
{"flow":{"time":"2026-09-01T08:00:03Z","verdict":"DROPPED","IP":{"source":"10.0.1.5","destination":"192.0.2.9"},"l4":{"TCP":{"source_port":40002,"destination_port":25,"flags":{"SYN":true}}},"source":{"namespace":"shop","pod_name":"agent-1"},"Type":"L3_L4","destination_names":["mail.acme.example"],"traffic_direction":"EGRESS","is_reply":null},"node_name":"n1"}
{"lost_events":{"source":"PERF_EVENT_RING_BUFFER","num_events_lost":"5"},"node_name":"n1"}
`
	straceLog = `100 1788249601.000000 execve("/usr/bin/agent", ["agent"], 0x7ffd /* 20 vars */) = 0
100 1788249601.010000 socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC|SOCK_NONBLOCK, IPPROTO_IP) = 3
100 1788249601.020000 connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.1")}, 16) = 0
100 1788249601.030000 sendto(3, "\0\1\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\1\0\1", 27, MSG_NOSIGNAL, NULL, 0) = 27
100 1788249601.040000 recvfrom(3, "\0\1\201\200\0\1\0\1\0\0\0\0\1a\7example\0\0\1\0\1\300\f\0\1\0\1\0\0\0<\0\4\300\0\2\7", 1024, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.1")}, [28 => 16]) = 43
100 1788249601.050000 close(3) = 0
100 1788249601.060000 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f) = 101
101 1788249601.070000 execve("/usr/bin/helper", ["helper"], 0x7ffd /* 20 vars */ <unfinished ...>
100 1788249601.080000 socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0) = 4
101 1788249601.090000 <... execve resumed>) = 0
100 1788249601.100000 connect(4, {sa_family=AF_UNIX, sun_path="/run/bus"}, 110) = 0
101 1788249601.110000 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 5
101 1788249601.120000 connect(5, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.7")}, 16) = -1 EINPROGRESS (Operation now in progress)
101 1788249601.130000 socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) = 6
101 1788249601.140000 connect(6, {sa_family=AF_INET6, sin6_port=htons(25), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::7", &sin6_addr), sin6_scope_id=0}, 28) = -1 ECONNREFUSED (Connection refused)
101 1788249601.150000 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 7
101 1788249601.160000 connect(7, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("192.0.2.200")}, 16) = 0
101 1788249601.170000 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 8
101 1788249601.180000 sendto(8, "x", 1, 0, {sa_family=AF_INET, sin_port=htons(123), sin_addr=inet_addr("192.0.2.9")}, 16) = 1
101 1788249601.190000 --- SIGCHLD {si_signo=SIGCHLD} ---
101 1788249601.200000 +++ exited with 0 +++
`
	envoyDefault = `[2026-09-01T08:00:00.310Z] "POST /v1 HTTP/2" 200 - 154 900 226 100 "10.0.35.28" "agent" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "api.acme.example" "192.0.2.7:443"
[2026-09-01T08:00:01.310Z] "CONNECT - HTTP/1.1" 503 UF 0 0 5 - "-" "agent" "-" "db.acme.example:5432" "-"
`
	envoyJSON = `{"start_time":"2026-09-01T08:00:00.310Z","authority":"api.acme.example","upstream_host":"192.0.2.7:443","bytes_received":154,"bytes_sent":"900","duration":226,"response_code":200,"response_flags":"-"}
{"start_time":"2026-09-01T08:00:02.310Z","requested_server_name":"tls.acme.example","upstream_host":"192.0.2.8:8443","bytes_received":1,"bytes_sent":2,"duration":1,"authority":null}
`
	squidLog = `1788249601.586    921 10.0.0.2 TCP_TUNNEL/200 3925 CONNECT api.acme.example:443 - HIER_DIRECT/192.0.2.7 -
1788249602.586     21 10.0.0.2 TCP_MISS/200 507 GET http://www.acme.example/x - HIER_DIRECT/192.0.2.8 text/html
1788249603.586      1 10.0.0.2 TCP_DENIED/403 0 CONNECT tracker.example:443 - HIER_NONE/- text/html
1788249604.586      1 10.0.0.2 TCP_TUNNEL/200 10 CONNECT 192.0.2.9:8443 - FIRSTUP_PARENT/10.0.0.9 -
`
)

// TestLogs: each format by itself, and those that are joined.
func TestLogs(t *testing.T) {
	type file struct{ name, content string }
	for name, c := range map[string]struct {
		files   []file
		options Options
		kinds   string
		peers   string
		gaps    string
	}{
		"zeek, joined": {[]file{{"conn.log", zeekConnTSV}, {"dns.log", zeekDNSTSV}, {"ssl.log", zeekSSLJSON}}, Options{}, "zeek-dns zeek-ssl zeek-conn",
			`outbound udp 10.0.0.1:53 direct x1 domain
outbound tcp api.acme.example:443 sni x1 https tls1.3 addr 192.0.2.7
outbound tcp other.acme.example:8443 sni x1 tls1.2 addr 192.0.2.9
outbound icmp www.acme.example:0 dns x1 addr 192.0.2.8
outbound tcp www.acme.example:80 dns x1 addr 192.0.2.8 failed1`, "midstream 1"},
		"zeek conn alone": {[]file{{"conn.log", zeekConnJSON}}, Options{}, "zeek-conn", "outbound tcp 192.0.2.7:443 unresolved x1 https", ""},
		"conntrack list": {[]file{{"ct", conntrackList}}, Options{}, "conntrack", `outbound tcp 192.0.2.7:443 unresolved x1
outbound tcp 192.0.2.8:25 unresolved x1 failed1
outbound udp 2001:db8::7:123 unresolved x1`, "midstream 3\nnoTimes 3"},
		"conntrack events": {[]file{{"ct", conntrackEvents}}, Options{}, "conntrack", `outbound tcp 192.0.2.7:443 unresolved x1
outbound udp 192.0.2.9:123 unresolved x1`, ""},
		"ss": {[]file{{"ss", ssDump}}, Options{}, "ss", `outbound tcp 192.0.2.7:443 unresolved x1 by agent
outbound tcp 2001:db8::7:25 unresolved x1 by agent failed1
inbound tcp 10.0.0.7:8080 unresolved x1 by agent`, "midstream 3\nnoTimes 3\nsnapshot 0 ss shows what is open at one moment"},
		"hubble": {[]file{{"flows.json", hubbleFlows}}, Options{}, "hubble", `outbound tcp api.acme.example:443 dns x1 addr 192.0.2.7 by shop/agent-1
outbound tcp mail.acme.example:25 log x1 addr 192.0.2.9 by shop/agent-1 failed1`, "dropped 5 hubble"},
		"strace": {[]file{{"trace", straceLog}}, Options{}, "strace", `outbound udp 10.0.0.1:53 direct x1 by agent
outbound udp 192.0.2.9:123 direct x1 by helper
outbound tcp 2001:db8::7:25 direct x1 by helper failed1
outbound tcp a.example:443 dns x1 addr 192.0.2.7 by helper`, ""},
		"strace without sends": {[]file{{"trace", "100 1788249601.0 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 7\n" +
			"100 1788249601.1 connect(7, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr(\"192.0.2.200\")}, 16) = 0\n" +
			"100 1788249601.2 connect(9, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr(\"192.0.2.201\")}, 16) = 0\n"}}, Options{}, "strace",
			"outbound udp 192.0.2.200:9 unresolved x1\noutbound tcp 192.0.2.201:443 unresolved x1",
			"transportAssumed 1 strace: the call that made the socket is not in the trace"},
		"envoy": {[]file{{"access.log", envoyDefault}}, Options{}, "envoy", `outbound tcp api.acme.example:443 http x1 addr 192.0.2.7
outbound tcp db.acme.example:5432 http x1 failed1`, ""},
		"envoy JSON": {[]file{{"access.log", envoyJSON}}, Options{}, "envoy", `outbound tcp api.acme.example:443 http x1 addr 192.0.2.7
outbound tcp tls.acme.example:8443 sni x1 addr 192.0.2.8`, ""},
		"squid": {[]file{{"access.log", squidLog}}, Options{}, "squid", `outbound tcp 192.0.2.9:8443 unresolved x1
outbound tcp api.acme.example:443 http x1 addr 192.0.2.7
outbound tcp tracker.example:443 http x1 failed1
outbound tcp www.acme.example:80 http x1 http addr 192.0.2.8`, ""},
		"lines that are none": {[]file{{"access.log", squidLog + "garbage\n"}}, Options{}, "squid", "", "undecoded 1 squid: lines that are not of the format"},
	} {
		t.Run(name, func(t *testing.T) {
			var inputs []Input
			for _, f := range c.files {
				inputs = append(inputs, input(f.name, []byte(f.content)))
			}
			o := summarise(t, c.options, inputs...)
			var kinds []string
			for _, s := range o.Sources {
				kinds = append(kinds, s.Kind)
			}
			expect(t, "kinds", strings.Join(kinds, " "), c.kinds)
			if c.peers != "" {
				expect(t, "peers", lines(o), c.peers)
			}
			expect(t, "gaps", gapsOf(o), c.gaps)
		})
	}
}

// TestLogNumbers: times and bytes of logs.
func TestLogNumbers(t *testing.T) {
	p := summarise(t, Options{}, input("conn.log", []byte(zeekConnJSON))).Peers[0]
	if *p.BytesOut != 900 || *p.BytesIn != 5000 || p.FirstSeen != packetworld.Start.Add(2e9) || p.LastSeen != packetworld.Start.Add(4.5e9) {
		t.Errorf("%+v", p)
	}
	p = summarise(t, Options{}, input("ct", []byte(conntrackEvents))).Peers[0]
	if *p.BytesOut != 1500 || *p.BytesIn != 9000 || p.LastSeen.Sub(p.FirstSeen) != 8e9 {
		t.Errorf("%+v", p)
	}
	if p := summarise(t, Options{}, input("trace", []byte(straceLog))).Peers[0]; p.BytesOut != nil {
		t.Errorf("strace counted %d bytes", *p.BytesOut)
	}
}

// TestLogsAndPackets: the names of a capture belong to the connections of a log.
func TestLogsAndPackets(t *testing.T) {
	w := packetworld.New(t)
	w.Now = packetworld.Start
	w.Resolve(host, resolver, "api.acme.example", packetworld.Address("api.acme.example", "192.0.2.7", 60))
	o := summarise(t, Options{Vantage: observation.VantageHost}, input("ct", []byte(conntrackEvents)), input("dns.pcap", w.PCAP()))
	expect(t, "peers", lines(o), `outbound udp 10.0.0.1:53 direct x1 domain
outbound udp 192.0.2.9:123 direct x1
outbound tcp api.acme.example:443 dns x1 addr 192.0.2.7`)
}

// TestInputsRefused: what cannot be summarised is an error that says why.
func TestInputsRefused(t *testing.T) {
	for want, c := range map[string]struct {
		err    error
		inputs []Input
	}{
		"0 inputs":                          {ErrNothing, nil},
		"strace is usually taken at the":    {ErrVantage, []Input{input("ct", []byte(conntrackList)), input("trace", []byte(straceLog))}},
		"a log of names has no connections": {ErrNothing, []Input{input("dns.log", []byte(zeekDNSTSV))}},
		`there is no "tar"`:                 {ErrFormat, []Input{{Name: "x", Format: "tar"}}},
		"none of 1 lines is one of strace": {ErrFormat, []Input{func() Input {
			in := input("x", []byte("what?\n"))
			in.Format = "strace"
			return in
		}()}},
	} {
		_, err := Observe(t.Context(), c.inputs, Options{Subjects: subjects()})
		if !errors.Is(err, c.err) || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %v %q", err, c.err, want)
		}
	}
}

// FuzzLogs: whatever a log holds, the outcome is an error or an observation that
// can be written.
func FuzzLogs(f *testing.F) {
	for format, content := range map[string]string{"zeek-conn": zeekConnTSV, "zeek-dns": zeekDNSTSV, "zeek-ssl": zeekSSLJSON, "conntrack": conntrackEvents,
		"ss": ssDump, "hubble": hubbleFlows, "strace": straceLog, "envoy": envoyDefault + envoyJSON, "squid": squidLog} {
		f.Add(format, content)
	}
	f.Fuzz(func(t *testing.T, format, content string) {
		in := input("fuzz", []byte(content))
		if format != "" {
			in.Format = format
		}
		o, err := Observe(t.Context(), []Input{in}, Options{Subjects: subjects(), MaxPeers: 64, Undigested: true, Local: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
		if err != nil {
			return
		}
		if _, err := o.Payload(); err != nil {
			t.Fatal(err)
		}
	})
}
