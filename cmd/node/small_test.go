package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"aggregate", "agg", "event", "view", "version"}
	for given, want := range map[string]string{
		"agregate":  "aggregate",
		"evnet":     "event", // neighbours swapped
		"veiw":      "view",
		"versions":  "version",
		"ag":        "agg",
		"frobnicte": "",
		"":          "",
		"日本":        "",
	} {
		if got := nearest(given, names); got != want {
			t.Errorf("nearest to %q is %q, want %q", given, got, want)
		}
	}
}

func TestParseAt(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("UTC+2", 2*60*60)
	now := time.Date(2030, 5, 17, 12, 0, 0, 0, zone)
	for given, want := range map[string]actor.At{
		"":                          {},
		"1":                         {Version: 1},
		"18446744073709551615":      {Version: 1<<64 - 1},
		"2030-05-17":                {Time: time.Date(2030, 5, 16, 22, 0, 0, 0, time.UTC)},
		"2030-05-17T08:30":          {Time: time.Date(2030, 5, 17, 6, 30, 0, 0, time.UTC)},
		"2030-05-17 08:30:15":       {Time: time.Date(2030, 5, 17, 6, 30, 15, 0, time.UTC)},
		"2030-05-17T08:30:00Z":      {Time: time.Date(2030, 5, 17, 8, 30, 0, 0, time.UTC)},
		"2030-05-17T08:30:00-01:00": {Time: time.Date(2030, 5, 17, 9, 30, 0, 0, time.UTC)},
		"90m":                       {Time: time.Date(2030, 5, 17, 8, 30, 0, 0, time.UTC)},
	} {
		got, err := parseAt(given, now)
		if err != nil {
			t.Errorf("%q: %v", given, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", given, diff)
		}
	}
	for _, bad := range []string{"0", "-1", "yesterday", "2030-13-01", "-90m", "18446744073709551616", "1.5"} {
		if at, err := parseAt(bad, now); err == nil {
			t.Errorf("%q was read as %v", bad, at)
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	noon := time.Date(2030, 5, 17, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		at      actor.At
		version uint64
		time    time.Time
		want    bool
	}{
		{actor.At{}, 9, noon, true},
		{actor.At{Version: 3}, 3, noon, true},
		{actor.At{Version: 3}, 4, noon, false},
		{actor.At{Time: noon}, 4, noon, true},
		{actor.At{Time: noon}, 4, noon.Add(time.Microsecond), false},
	} {
		if got := covers(test.at, test.version, test.time); got != test.want {
			t.Errorf("%v covers version %d at %v: %v", test.at, test.version, test.time, got)
		}
	}
}

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"127.0.0.1:4222": "127.0.0.1:4222",
		":0":             "127.0.0.1:0", // loopback: nothing asks for credentials
		"4222":           "127.0.0.1:4222",
		"0.0.0.0:4222":   "0.0.0.0:4222",
		"[::1]:4222":     "[::1]:4222",
	} {
		got, err := parseAddress("nats", given, true)
		if err != nil || got.String() != want {
			t.Errorf("%q is %v (%v), want %s", given, got, err, want)
		}
	}
	for _, bad := range []string{"", "host", "host:", "host:http", "host:-1", "host:65536", "::1:4222"} {
		if got, err := parseAddress("nats", bad, true); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}

func TestAddressPublic(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "localhost": false,
		"0.0.0.0": true, "10.1.2.3": true, "example.org": true, "::": true,
	} {
		if got := (address{host: host}).public(); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"application/42": "application/42",
		"żółw 日本 🐢":      "żółw 日本 🐢",
		"a\x1b[31mred":   `a\u001b[31mred`,
		"two\nlines":     `two\u000alines`,
		"c1\u009b31m":    `c1\u009b31m`,
		"turned\u202eup": `turned\u202eup`,
	} {
		if got := printable(given); got != want {
			t.Errorf("%q is printed as %q, want %q", given, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"nats://127.0.0.1:4222":           "nats://127.0.0.1:4222",
		"nats://joe:secret@host:4222":     "nats://…@host:4222",
		"joe:s@cret@host:4222":            "…@host:4222",
		"nats://a:1,tls://token@b:2":      "nats://a:1,tls://…@b:2",
		"nats://token@one,nats://two:333": "nats://…@one,nats://two:333",
	} {
		if got := redact(given); got != want {
			t.Errorf("%s is told as %s, want %s", given, got, want)
		}
	}
}

func TestStyle(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env     map[string]string
		noColor bool
		want    bool
	}{
		{want: false}, // a buffer is no terminal
		{env: map[string]string{"CLICOLOR_FORCE": "1"}, want: true},
		{env: map[string]string{"CLICOLOR_FORCE": "0"}, want: false},
		{env: map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, want: false},
		{env: map[string]string{"CLICOLOR_FORCE": "1"}, noColor: true, want: false},
	} {
		s, out, _ := testSession(test.env)
		s.flags.noColor = test.noColor
		if got := bool(s.style(out)); got != test.want {
			t.Errorf("%v, --no-color=%v: colours %v", test.env, test.noColor, got)
		}
	}
}

// testSession returns a session and what it prints.
func testSession(env map[string]string) (s *Session, out, talk *strings.Builder) {
	out, talk = new(strings.Builder), new(strings.Builder)
	s = newSession(App{Name: "bank"}, Streams{
		In: strings.NewReader(""), Out: out, Err: talk, Env: func(name string) string { return env[name] },
	})
	s.flags.namespace, s.flags.timeout = "bank", defaultTimeout
	return s, out, talk
}

func TestFailureIsThreeLines(t *testing.T) {
	t.Parallel()
	s, _, talk := testSession(nil)
	f := &Failure{Code: codeUsage, Exit: exitUsage, What: "what\nhappened", Why: "because\x1b[2J", Fix: "do this"}
	f.write(s)
	want := "error: what; happened [USAGE]\n  why: because\\u001b[2J\n  fix: do this\n"
	if diff := cmp.Diff(want, talk.String()); diff != "" {
		t.Error(diff)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	s, _, _ := testSession(nil)
	own := Usage("no")
	if f := explain(t.Context(), s, errors.New("unknown flag")); f.Exit != exitUsage {
		t.Errorf("before the command line is understood, an error has exit code %d", f.Exit)
	}
	s.prepared = true
	for _, test := range []struct {
		err  error
		code string
		exit int
	}{
		{fmt.Errorf("import: %w", own), "USAGE", exitUsage},
		{errors.New("disk on fire"), "FAILURE", exitFailure},
		{&actor.RejectedError{Reason: errors.New("not enough money")}, "REJECTED", exitConflict},
	} {
		f := explain(t.Context(), s, test.err)
		if string(f.Code) != test.code || f.Exit != test.exit {
			t.Errorf("%v: %s and exit code %d, want %s and %d", test.err, f.Code, f.Exit, test.code, test.exit)
		}
	}
}

// Every code is explained once, with an exit code and words.
func TestKindsAreComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range kinds {
		if seen[string(k.code)] {
			t.Errorf("%s is there twice", k.code)
		}
		seen[string(k.code)] = true
		if k.exit == exitOK || k.meaning == "" {
			t.Errorf("%s: exit code %d, meaning %q", k.code, k.exit, k.meaning)
		}
	}
}

func TestPrintFilters(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ jq, want string }{
		{"", `{"big":9007199254740993,"html":"<b>","list":[1,2]}` + "\n"},
		{".big", "9007199254740993\n"}, // beyond what a float64 keeps
		{".list[]", "1\n2\n"},
		{".html", "\"<b>\"\n"},
		{"select(.big == 0)", ""},
	} {
		s, out, _ := testSession(nil)
		s.flags.jq = test.jq
		var err error
		if s.filter, err = compileFilter(test.jq); err != nil {
			t.Fatal(err)
		}
		err = s.Print(map[string]any{"big": uint64(9007199254740993), "html": "<b>", "list": []int{1, 2}})
		if err != nil || out.String() != test.want {
			t.Errorf("--jq %q: %q (%v), want %q", test.jq, out.String(), err, test.want)
		}
	}
	s, _, _ := testSession(nil)
	s.filter, _ = compileFilter(".a.b")
	if err := s.Print(map[string]any{"a": "text"}); err == nil {
		t.Error("a filter that does not fit the data was silent")
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	if got, want := wrap("open deposit withdraw", 12), "open deposit\nwithdraw"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := wrap("muchtoolongword x", 4); got != "muchtoolongword\nx" {
		t.Errorf("%q", got)
	}
}
