package node

import (
	"context"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/projector"
)

func TestProjectionCommands(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	previous := liveModel
	previous.Version, previous.Role, previous.Parked, previous.Stalled = 2, projector.RolePrevious, 3, true
	for _, c := range []struct {
		args  string
		code  int
		call  string
		out   string // a pattern
		talks string // likewise
	}{
		{"ls", 0, "", `(?m)^totals +1 +live +live +2048 +0 +0s +2 +0 *$`, ""},
		{"ls", 0, "", `(?m)^totals +2 +previous +live, stalled .* 3 *$`, ""},
		{"ls --jq .role", 0, "", "^\"live\"\n\"previous\"\n$", ""},
		{"lag", 0, "", `(?m)^totals_v2 +previous +live, stalled`, ""},
		{"lag totals --jq .model", 0, "", "^\"totals_v1\"\n\"totals_v2\"\n$", ""},
		{"lag totalz", 3, "", "", `did you mean: totals`},
		{"info totals", 0, "", `(?s)^totals   on node n1\n\ntotals_v1   live   live\n  position  2048 of 2048\n.*3 streams; see: bank dlq ls totals`, ""},
		{"info totals --jq .models[1].parked", 0, "", "^3\n$", ""},
		{"info totalz", 3, "", "", `no view "totalz" \[UNKNOWN_VIEW\]`},
		{"pause totals", 0, "pause", `^totals is paused: totals_v1 is served as it is; undo: bank projection resume totals\n$`, ""},
		{"pause totals --dry-run", 0, "", `^would stop bringing view totals up to date \(live totals_v1, previous totals_v2\)\n$`, ""},
		{"pause totalz --dry-run", 3, "", "", "UNKNOWN_VIEW"},
		{"resume totals --jq .name", 0, "resume", "^\"totals\"\n\"totals\"\n$", ""},
		{"promote totals", 0, "promote false", `undo: bank projection rollback totals`, ""},
		{"promote totals --force", 2, "", "", `this would serve the candidate.*\n  why: it cannot be taken back.*\n  fix: say --yes`},
		{"promote totals --force --yes", 0, "promote true", "is served", ""},
		{"rollback totals", 0, "rollback", `^totals: totals_v1 is served again`, ""},
		{"cancel totals", 2, "", "", `nobody to ask`},
		{"cancel totals --yes", 0, "cancel", `nothing is built any more`, ""},
		{"retire totals --dry-run --json", 0, "", `^\{"dry_run":true,"would":"drop the previous model of view totals, .*"\}\n$`, ""},
		{"retire totals -y", 0, "retire", `the previous model is dropped`, ""},
		{"rewind totals", 2, "", "", `--to is needed`},
		{"rewind totals --to 1024", 2, "", "", `this would apply the events after position 1024`},
		{"rewind totals --to 0 --yes", 0, "rewind to 0", `totals goes over them again`, ""},
		{"verify totals", 0, "verify false", `(?m)^totals_v1 +0 +2 +2 +true *$`, ""},
		{"verify totals --documents", 6, "verify true", `documents: 1 of 3 documents differ, such as "bob"`, `totals_v1 is not what the log says \[DIFFERS\]`},
		{"verify totals --documents --jq .documents.differences", 6, "verify true", "^1\n$", "DIFFERS"},
		{"rebuild totals --parity 3", 2, "", "", `--parity needs --online`},
		{"rebuild totals --online --parity some", 2, "", "", `want all, none or a number`},
		{"rebuild totals", 2, "", "", `this would build view totals again in place; reads wait`},
		{"rebuild totals --online --to 2 --dry-run", 0, "", `^would build view totals again beside totals_v1, and drop totals_v2, to which it could be rolled back, as version 2`, ""},
		{"rebuild totals --online --no-wait", 0, "rebuild {Online:true Version:0 Parity:-1 Switch:false}", `^totals_v1_b1 is being built; see`, ""},
		{"rebuild totals --online --to 2 --parity 7 --switch --no-wait --jq .build", 0, "rebuild {Online:true Version:2 Parity:7 Switch:true}", "^1\n$", ""},
		{"rebuild totals --yes --no-wait", 0, "rebuild {Online:false Version:0 Parity:0 Switch:false}", "is being built", ""},
	} {
		st.status = func(int) []projector.Status {
			if strings.HasPrefix(c.args, "promote") {
				return []projector.Status{liveModel, built(projector.RoleCandidate, projector.StateLive, 2, 0, nil)}
			}
			return []projector.Status{liveModel, previous}
		}
		code, out, talk := st.run(t.Context(), "", append([]string{"projection"}, strings.Fields(c.args)...)...)
		if code != c.code || !regexp.MustCompile(c.out).MatchString(out) || !regexp.MustCompile(c.talks).MatchString(talk) || c.talks == "" && talk != "" {
			t.Errorf("%s: exit code %d\n%s%s", c.args, code, out, talk)
		}
		if got := st.asked(); got != c.call {
			t.Errorf("%s: asked for %q, want %q", c.args, got, c.call)
		}
	}
}

// What cannot be done is not said to be possible, nor asked about.
func TestProjectionCommandsWithNothingToChange(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	st.status = func(int) []projector.Status { return []projector.Status{liveModel} }
	for args, want := range map[string]string{
		"promote totals --dry-run": "NO_CANDIDATE", "rollback totals --dry-run": "NO_PREVIOUS", "promote totals": "projection rebuild totals --online",
		"retire totals --dry-run": "NO_PREVIOUS", "retire totals": "NO_PREVIOUS",
	} {
		code, out, talk := st.run(t.Context(), "", append([]string{"projection"}, strings.Fields(args)...)...)
		if code != 4 || !strings.Contains(talk, want) || st.asked() != "" {
			t.Errorf("%s: exit code %d\n%s%s", args, code, out, talk)
		}
	}
}

// built is the model of a rebuild at some moment.
func built(role, state string, events, left uint64, parity *projector.Parity) projector.Status {
	return projector.Status{
		Name: "totals", Version: 1, Build: 1, Role: role, State: state, Events: events, LagEvents: left, Rate: 100, Parity: parity,
	}
}

// play returns one look after the other, the last again and again.
func play(looks ...[]projector.Status) func(int) []projector.Status {
	return func(n int) []projector.Status { return looks[min(n, len(looks))-1] }
}

func TestRebuildIsFollowedToItsEnd(t *testing.T) {
	t.Parallel()
	before := []projector.Status{liveModel}
	beside := func(m projector.Status) []projector.Status { return []projector.Status{liveModel, m} }
	equal, differs := &projector.Parity{Compared: 4}, &projector.Parity{Compared: 4, Differences: 1, Examples: []projector.Difference{{Key: "bob"}}}
	catching := beside(built("candidate", "catching-up", 50, 150, nil))
	for what, c := range map[string]struct {
		args  string
		looks [][]projector.Status
		code  int
		out   string
		talks string
	}{
		"switched": {
			"--online --switch",
			[][]projector.Status{before, catching, beside(built("candidate", "live", 200, 0, equal)), {built("live", "live", 200, 0, equal)}},
			0,
			`^totals_v1_b1 is served: 200 events in [0-9.]+ s; 4 of 4 documents equal; undo: bank projection rollback totals\n$`, `(?m)^totals_v1_b1: 25 %  50/200 events  100/s  2s left$`,
		},
		"left to promote": {
			"--online",
			[][]projector.Status{before, beside(built("candidate", "live", 200, 0, nil)), beside(built("candidate", "live", 200, 0, equal))},
			0,
			`^totals_v1_b1 has caught up: .*; serve it: bank projection promote totals; or drop it: bank projection cancel totals\n$`, `compared with the live model`,
		},
		"not compared": {
			"--online --parity none",
			[][]projector.Status{before, beside(built("candidate", "live", 200, 0, nil))},
			0,
			`^totals_v1_b1 has caught up: 200 events in [0-9.]+ s; serve it`, `^$`,
		},
		"different": {
			"--online --switch",
			[][]projector.Status{before, beside(built("candidate", "live", 200, 0, differs))},
			4,
			`^$`, `^error: totals_v1_b1 is not served: 1 of 4 documents differ, such as "bob" \[PARITY\]`,
		},
		"in place": {
			"--yes",
			[][]projector.Status{before, {built("live", "catching-up", 50, 150, nil)}, {built("live", "live", 200, 0, nil)}},
			0,
			`^totals_v1_b1 is served: 200 events in [0-9.]+ s\n$`, `25 %`,
		},
		"cancelled": {
			"--online", [][]projector.Status{before, catching, before}, 4, `^$`, `totals_v1_b1 is not there any more \[REBUILD_GONE\]`,
		},
		"failed": {
			"--online",
			[][]projector.Status{before, beside(projector.Status{Name: "totals", Version: 1, Build: 1, Role: "candidate", State: "failed", Error: "too many parked"})},
			1,
			`^$`, `cannot go on \[FAILURE\]\n  why: too many parked\n  fix: .*bank projection cancel totals`,
		},
		"quiet": {
			"--online --quiet", [][]projector.Status{before, catching, beside(built("candidate", "live", 200, 0, equal))}, 0, `has caught up`, `^$`,
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			st := newStage(t)
			st.status = play(c.looks...)
			code, out, talk := st.run(t.Context(), "", append([]string{"projection", "rebuild", "totals"}, strings.Fields(c.args)...)...)
			if code != c.code || !regexp.MustCompile(c.out).MatchString(out) || !regexp.MustCompile(c.talks).MatchString(talk) {
				t.Errorf("exit code %d\n%s%s", code, out, talk)
			}
		})
	}
}

func TestRebuildAsJSON(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	st.status = play([]projector.Status{liveModel}, []projector.Status{built("live", "catching-up", 50, 150, nil)}, []projector.Status{built("live", "live", 200, 0, nil)})
	code, out, talk := st.run(t.Context(), "", "projection", "rebuild", "totals", "--yes", "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || talk != "" || len(lines) != 2 {
		t.Fatalf("exit code %d, %s%s", code, out, talk)
	}
	var first, last rebuilding
	for i, into := range []*rebuilding{&first, &last} {
		if err := json.Unmarshal([]byte(lines[i]), into); err != nil {
			t.Fatal(err)
		}
	}
	if first.Percent != 25 || first.Left != 150 || first.SecondsLeft != 1.5 || first.Done {
		t.Errorf("%+v", first)
	}
	if last.Percent != 100 || !last.Done || last.Role != projector.RoleLive {
		t.Errorf("%+v", last)
	}
}

// Ctrl-C ends the command and not the rebuild, and it says so.
func TestInterruptedRebuildGoesOn(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	st.status = play([]projector.Status{liveModel}, []projector.Status{liveModel, built("candidate", "catching-up", 50, 150, nil)})
	ctx, cancel := context.WithCancelCause(t.Context())
	talk := lineWriter{make(chan string, 100)}
	code := make(chan int, 1)
	go func() {
		code <- st.runWith(ctx, Streams{In: strings.NewReader(""), Out: io.Discard, Err: talk}, "projection", "rebuild", "totals", "--online")
	}()
	<-talk.lines // the first line of progress
	cancel(errInterrupted)
	if got := <-code; got != console.ExitInterrupted {
		t.Errorf("exit code %d", got)
	}
	close(talk.lines)
	last := ""
	for line := range talk.lines {
		last = line
	}
	if want := "the rebuild of totals_v1_b1 goes on; see: bank projection info totals; give it up: bank projection cancel totals\n"; last != want {
		t.Errorf("it said %q, want %q", last, want)
	}
	if got := st.asked(); strings.Contains(got, "cancel") {
		t.Errorf("asked for %s", got)
	}
}

func TestProgressTexts(t *testing.T) {
	t.Parallel()
	f := following{model: projector.Model{View: "totals", Version: 2}}
	for _, c := range []struct {
		status projector.Status
		want   string
	}{
		{built("candidate", "starting", 0, 1, nil), "totals_v2  ░░░░░░░░░░░░░░░░░░░░  begins"},
		{built("candidate", "catching-up", 0, 0, nil), "totals_v2  ░░░░░░░░░░░░░░░░░░░░  0 %  0/0 events  100/s  0s left"},
		{built("candidate", "catching-up", 1234, 766, nil), "totals_v2  ████████████░░░░░░░░  61 %  1,234/2,000 events  100/s  8s left"},
		{built("candidate", "catching-up", 999999, 1, nil), "totals_v2  ███████████████████░  99 %  999,999/1,000,000 events  100/s  0s left"},
		{built("candidate", "live", 2000, 0, nil), "totals_v2  ████████████████████  100 %  2,000/2,000 events  compared with the live model"},
	} {
		if got := barText(f.report(c.status)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
