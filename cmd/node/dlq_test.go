package node

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

func parkedLetters() []projector.DeadLetter {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	one := projector.DeadLetter{
		Model: projector.Model{View: "totals", Version: 1}, ID: "0a1b2c3d4e5f", Worker: "0", Stream: store.StreamID{Type: "account", ID: "ann"},
		At: 3, Position: 2048, Event: "deposited", Kind: projector.KindHandler, Error: "panic: negative\x1b[2J", Attempts: 4, Parked: at, Tried: at, Queued: 1,
	}
	two := one
	two.ID, two.Stream.ID, two.Position = "ffffffffffff", "bob", 1024
	return []projector.DeadLetter{one, two}
}

func TestDLQCommands(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(file, []byte("{\n  \"cents\": 3\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  []string
		in    string
		code  int
		call  string
		out   string
		talks string
	}{
		{args: []string{"ls"}, out: `(?s)^ID +MODEL +STREAM .*\nffffffffffff +totals_v1 +account/bob +3 +deposited +handler +4 +1 +2026-11-22T10:00:00Z +panic: negative\\u001b\[2J *\n0a1b2c3d4e5f`},
		{args: []string{"ls", "totals", "--jq", ".id"}, out: "^\"ffffffffffff\"\n\"0a1b2c3d4e5f\"\n$"},
		{args: []string{"ls", "totalz"}, code: 3, talks: `did you mean: totals`},
		{args: []string{"get", "0a1b2c3d4e5f"}, out: `(?s)^0a1b2c3d4e5f   totals_v1   account/ann\n  event    deposited version 3, position 2048\n.*3 +deposited .* \{"cents":-1\}.*4 +withdrawn .*\(no JSON\) "\\xc1"`},
		{args: []string{"get", "0a1b2c3d4e5f", "--limit", "1", "--jq", ".events[].data"}, out: "^\\{\"cents\":-1\\}\n$"},
		{args: []string{"get", "0a1b2c3d4e5e"}, code: 3, talks: `no dead letter "0a1b2c3d4e5e" \[NO_LETTER\]\n  why: .*\n  fix: did you mean: 0a1b2c3d4e5f`},
		{args: []string{"get", "0a1b2c3d4e5f", "--limit", "0"}, code: 2, talks: `must be 1 to 1000`},
		{args: []string{"retry"}, code: 2, talks: `want one of`},
		{args: []string{"retry", "0a1b2c3d4e5f", "--all"}, code: 2, talks: `want one of`},
		{args: []string{"retry", "0a1b2c3d4e5f", "--dry-run"}, out: `^would retry 0a1b2c3d4e5f: account/ann from version 3 on, totals_v1\n$`},
		{args: []string{"retry", "0a1b2c3d4e5f"}, call: "retry 0a1b2c3d4e5f", out: `^0a1b2c3d4e5f   totals_v1   account/ann: applied; nothing of it waits any more\n$`},
		{
			args: []string{"retry", "--all"}, code: 4, call: "retry ffffffffffff; retry 0a1b2c3d4e5f",
			out: `(?m)^ffffffffffff .*account/bob: still parked, at version 4: panic: negative\n0a1b2c3d4e5f .*applied`, talks: `1 stream still parked \[STILL_PARKED\]`,
		},
		{args: []string{"retry", "--match", "totals", "--jq", "[.id, .released, .letter.at]"}, code: 4, call: "retry ffffffffffff; retry 0a1b2c3d4e5f", out: `^\["ffffffffffff",false,4\]` + "\n" + `\["0a1b2c3d4e5f",true,null\]`, talks: "STILL_PARKED"},
		{args: []string{"retry", "--match", "totalz"}, code: 3, talks: "UNKNOWN_VIEW"},
		{args: []string{"edit", "0a1b2c3d4e5f", `{"cents": 1}`, "--by", "bob"}, call: `edit 0a1b2c3d4e5f at 3 to {"cents":1} by unverified:bob`, out: `version 3 is edited; try it: bank dlq retry 0a1b2c3d4e5f`},
		{args: []string{"edit", "0a1b2c3d4e5f", "-"}, in: `{"cents":2}`, call: `edit 0a1b2c3d4e5f at 3 to {"cents":2} by unverified:ann`, out: `is edited`},
		{args: []string{"edit", "0a1b2c3d4e5f", "--file", file, "--retry"}, call: `edit 0a1b2c3d4e5f at 3 to {"cents":3} by unverified:ann; retry 0a1b2c3d4e5f`, out: `applied`},
		{args: []string{"edit", "ffffffffffff", `{}`, "--retry"}, code: 4, call: `edit ffffffffffff at 3 to {} by unverified:ann; retry ffffffffffff`, out: `still parked`, talks: "STILL_PARKED"},
		{args: []string{"edit", "0a1b2c3d4e5f", `{"cents":1}`, "--dry-run"}, out: `^would have totals_v1 apply account/ann version 3 \(deposited\) as \{"cents":1\}\n$`},
		{args: []string{"edit", "0a1b2c3d4e5f", `{`}, code: 2, talks: "is not JSON"},
		{args: []string{"edit", "0a1b2c3d4e5f"}, code: 2, talks: "there are no data for the event"},
		{args: []string{"edit", "0a1b2c3d4e5f", "{}", "--file", file}, code: 2, talks: "not both"},
		{args: []string{"skip", "0a1b2c3d4e5f"}, code: 2, talks: "--reason is needed"},
		{args: []string{"skip", "0a1b2c3d4e5f", "--reason", "sent twice"}, code: 2, talks: `this would leave account/ann version 3 \(deposited\) out of totals_v1 for good`},
		{args: []string{"skip", "0a1b2c3d4e5f", "--reason", "sent twice", "--dry-run"}, out: `^would leave account/ann version 3`, talks: "the reason is not kept"},
		{args: []string{"skip", "0a1b2c3d4e5f", "--reason", "sent twice", "--yes"}, call: "skip 0a1b2c3d4e5f at 3 for sent twice by unverified:ann", out: `version 3 is left out; nothing of it waits any more`},
		{args: []string{"skipped", "totals"}, out: `totals_v1 +account/bob +2 +deposited +2026-11-22T10:00:00Z +ann +sent twice`},
		{args: []string{"export", "--jq", "[.id, (.events | length)]"}, out: `^\["ffffffffffff",2\]` + "\n" + `\["0a1b2c3d4e5f",2\]` + "\n$"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			st := newStage(t)
			st.letters, st.fails["ffffffffffff"] = parkedLetters(), true
			code, out, talk := st.run(t.Context(), c.in, append([]string{"dlq"}, c.args...)...)
			if code != c.code || !regexp.MustCompile(c.out).MatchString(out) || !regexp.MustCompile(c.talks).MatchString(talk) || c.talks == "" && talk != "" {
				t.Errorf("exit code %d\n%s%s", code, out, talk)
			}
			if got := st.asked(); got != c.call {
				t.Errorf("asked for %q, want %q", got, c.call)
			}
		})
	}
}

// An export is one object a line, with all that is known, also without --json.
func TestDLQExport(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	st.letters = parkedLetters()
	_, out, _ := st.run(t.Context(), "", "dlq", "export", "totals")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 {
		t.Fatalf("%s", out)
	}
	for _, line := range lines {
		var l letter
		if err := json.Unmarshal([]byte(line), &l); err != nil || len(l.Events) != 2 || l.View != "totals" || l.Error == "" {
			t.Errorf("%s: %v", line, err)
		}
	}
	st.letters = nil
	if code, out, talk := st.run(t.Context(), "", "dlq", "ls"); code != 0 || out != "nothing is parked: every view has applied what it has seen\n" {
		t.Errorf("%d %s%s", code, out, talk)
	}
}

// A view that does not answer hides no other's letters, and nobody takes its silence
// for good news.
func TestTheListOfLettersWithoutAView(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	st.letters, st.silent = parkedLetters(), "accounts"
	st.status = func(int) []projector.Status { return []projector.Status{{Name: "accounts"}, liveModel} }
	const told = "error: these views could not be asked: accounts [UNAVAILABLE]"
	for _, args := range [][]string{{"ls"}, {"ls", "--json"}, {"export"}} {
		code, out, talk := st.run(t.Context(), "", append([]string{"dlq"}, args...)...)
		if code != 5 || strings.Count(out, "account/ann")+strings.Count(out, `"ann"`) != 1 || !strings.Contains(out, "ffffffffffff") || !strings.Contains(talk, told) {
			t.Errorf("%v: exit code %d\n%s%s", args, code, out, talk)
		}
	}
	if code, out, talk := st.run(t.Context(), "", "dlq", "get", "0a1b2c3d4e5f"); code != 0 || !strings.Contains(out, "0a1b2c3d4e5f") {
		t.Errorf("a letter of another view: exit code %d\n%s%s", code, out, talk)
	}
	if code, _, talk := st.run(t.Context(), "", "dlq", "get", "000000000000"); code != 5 || !strings.Contains(talk, told) {
		t.Errorf("a letter that may be the silent view's: exit code %d\n%s", code, talk)
	}
	if code, _, talk := st.run(t.Context(), "", "dlq", "retry", "--all"); code != 5 || st.asked() != "" {
		t.Errorf("retry: exit code %d\n%s", code, talk)
	}
	st.letters = nil
	if code, out, talk := st.run(t.Context(), "", "dlq", "ls"); code != 5 || out != "" || !strings.Contains(talk, told) {
		t.Errorf("no letters: exit code %d\n%s%s", code, out, talk)
	}
}

func TestLettersAreCompleted(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	st.letters = parkedLetters()
	for _, c := range []struct{ args, want string }{
		{"dlq get ", "ffffffffffff\ttotals_v1 account/bob: panic: negative\\u001b[2J\n0a1b2c3d4e5f\t"},
		{"dlq ls ", "totals\n"},
		{"dlq retry --match ", "totals\n"},
		{"projection rebuild ", "totals\n"},
		{"view wait 1024 ", "totals\n"},
		{"command send account ann open --wait-for ", "totals\n"},
	} {
		_, out, _ := st.run(t.Context(), "", append([]string{"__complete"}, strings.Split(c.args, " ")...)...)
		if !strings.HasPrefix(out, c.want) {
			t.Errorf("%s: %q", c.args, out)
		}
	}
}

func TestSendWaitsForViews(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	for _, c := range []struct {
		args  string
		code  int
		out   string
		talks string
	}{
		{"command send account ann open --wait-for totals --jq .views", 0, `^\[\{"reached":true,"view":"totals"\}\]` + "\n$", `^$`},
		{"command send account ann open --wait-for totals", 0, `^account/ann   version 1   position 2048   opened\n$`, `^$`},
		{
			"command send account late open --wait-for totals --timeout 5s", 5, `^account/late   version 1   position 4096   opened\n$`,
			`(?s)^error: the command took effect, but it is not seen yet by totals \[VIEWS_LATE\]\n  why: timeout: view totals is at position 2048, wanted 4096\n  fix: do not send it again; wait for them: bank view wait 4096 totals\n$`,
		},
		{"command send account ann open --wait-for totals,totalz", 3, `^$`, `no view "totalz" \[UNKNOWN_VIEW\]\n.*\n  fix: did you mean: totals`},
		{"view wait 2048 totals", 0, `^totals: at position 2048 or later\n$`, `^$`},
		{"view wait 2048 totals --json", 0, `^\{"position":2048,"views":\["totals"\]\}\n$`, `^$`},
		{"view wait 4096 totals --timeout 5s", 5, `^$`, `VIEW_TIMEOUT`},
		{"view wait 1 totals totalz", 3, `^$`, `no view "totalz"`},
		{"view wait now totals", 2, `^$`, `want a number`},
	} {
		code, out, talk := st.run(t.Context(), "", strings.Fields(c.args)...)
		if code != c.code || !regexp.MustCompile(c.out).MatchString(out) || !regexp.MustCompile(c.talks).MatchString(talk) {
			t.Errorf("%s: exit code %d\n%s%s", c.args, code, out, talk)
		}
	}
}

// What goes into an editor comes out compact, and unchanged data are refused.
func TestEditor(t *testing.T) {
	t.Parallel()
	s, _, _ := testSession(nil)
	got, err := s.throughEditor(t.Context(), []string{"sed", "-i", "s/-1/1/"}, json.RawMessage(`{"cents":-1}`))
	if err != nil || string(got) != "{\n  \"cents\": 1\n}\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := s.throughEditor(t.Context(), []string{"false"}, nil); err == nil {
		t.Error("an editor that failed is believed")
	}
	if got := string(pretty(nil)); got != "{}\n" {
		t.Errorf("%q", got)
	}
}
