package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/actor/trial"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/history"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
)

// TestTrial holds builds to the log of an invented history: the one that wrote it
// finds nothing, and those that something was planted in find that.
func TestTrial(t *testing.T) {
	t.Parallel()
	path, events := writeSample(t, 300, 21)
	got := tryBuilds(t, path)
	if got.Streams != 300 || got.Events != uint64(events) {
		t.Errorf("checked %d events of %d applications, want %d of 300", got.Events, got.Streams, events)
	}
}

// TestTrialOfTheRealHistory does the same with the bank's own event log of 2012.
func TestTrialOfTheRealHistory(t *testing.T) {
	path := os.Getenv(realHistory)
	if path == "" {
		t.Skipf("SKIPPED, NOT PASSED: no build was tried on the real history; set %s to the path of bpic2012.xes.gz, and allow two minutes", realHistory)
	}
	got := tryBuilds(t, path)
	if got.Streams != 13_087 || got.Events != 262_200 {
		t.Errorf("checked %d events of %d applications, want 262200 of 13087", got.Events, got.Streams)
	}
}

// tryBuilds imports the file into a namespace that keeps commands, and tries
// three builds on it. It returns what the one that wrote it reports.
func tryBuilds(t *testing.T, path string) trial.Report {
	t.Helper()
	b := startLoans(t, "--nats", "127.0.0.1:0", "--keep-commands")
	if code, _, talk := b.importJSON(t, path); code != 0 {
		t.Fatalf("import: exit code %d, said %q", code, talk)
	}
	was := readFacts(t, path)

	began := time.Now()
	code, out, talk := b.run(t, "schema", "check", "--json")
	took := time.Since(began).Round(time.Millisecond)
	if want := fmt.Sprintf(`{"events":%d,"streams":%d,"failures":0,`, was.events, was.applications); code != 0 || !strings.HasPrefix(out, want) {
		t.Fatalf("schema check: exit code %d, %.200q, said %q; want it to begin with %s", code, out, talk, want)
	}
	t.Logf("schema check in %v: %.51s…", took, out)
	var report trial.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	sum, turned := b.whatif(t, app, 0)
	t.Logf("whatif in %v: %+v", time.Since(began).Round(time.Millisecond), sum)
	if sum.Commands != was.events || sum.NotKept != 0 || sum.States != 0 || len(turned) != 0 {
		t.Errorf("whatif of the build that wrote it: %+v, %v", sum, turned)
	}
	b.tryBroken(t, was)
	b.tryStrict(t, was)
	return report
}

// facts are what the file says by itself.
type facts struct {
	applications, events uint64
	declined             uint64 // events
	firstDeclined        map[string]uint64
	turned               []string // by the rule of strictApplications
}

// readFacts applies the planted rule to the file's own words, without the
// domain and without a log: an activation that comes before the registration is
// turned.
func readFacts(t *testing.T, path string) (f facts) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f.firstDeclined = map[string]uint64{}
	for trace, err := range history.Read(file) {
		if err != nil {
			t.Fatal(err)
		}
		f.applications++
		f.events += uint64(len(trace.Events))
		registered := false
		for i, e := range trace.Events {
			switch e.Activity {
			case "A_REGISTERED":
				registered = true
			case "A_ACTIVATED":
				if !registered {
					f.turned = append(f.turned, fmt.Sprintf("application/%s v%d", trace.Application, i+1))
				}
			case "A_DECLINED":
				f.declined++
				f.firstDeclined["application/"+trace.Application] = uint64(i + 1)
			}
		}
	}
	slices.Sort(f.turned)
	return f
}

// strictApplications is a build with a rule more: nothing is paid out before it is
// in the books.
var strictApplications = func() actor.Aggregate[application.Application, application.Command, application.Event] {
	a := application.Applications
	a.Decide = func(s application.Application, c application.Command) ([]application.Event, error) {
		if _, is := c.(application.Activate); is && !s.Registered {
			return nil, fmt.Errorf("not in the books")
		}
		return s.Decide(c)
	}
	return a
}()

// tryStrict holds what whatif finds to the file's own words.
func (b *loanBook) tryStrict(t *testing.T, was facts) {
	t.Helper()
	strict := app
	strict.Aggregates = []actor.Definition{strictApplications}
	sum, turned := b.whatif(t, strict, 6)
	if len(was.turned) == 0 {
		t.Fatal("the rule turns nothing in this file")
	}
	if diff := cmp.Diff(was.turned, turned); diff != "" {
		t.Errorf("decisions that the rule turns (-file +whatif):\n%s", diff)
	}
	if sum.Decisions != uint64(len(was.turned)) || sum.Commands != was.events || sum.States != 0 || sum.Failures != 0 {
		t.Errorf("whatif: %+v, want %d of %d commands turned", sum, len(was.turned), was.events)
	}
	t.Logf("whatif: %d of %d commands turned, as in the file", sum.Decisions, sum.Commands)
}

// whatif runs whatif of a build, and returns its summary and the sorted places
// of the decisions that it would have made otherwise.
func (b *loanBook) whatif(t *testing.T, build node.App, want int) (sum trial.Summary, turned []string) {
	t.Helper()
	code, out, talk := b.runAs(t, build, "whatif", "run", "--json")
	if code != want {
		t.Fatalf("whatif: exit code %d, want %d; said %q", code, want, talk)
	}
	for line := range strings.Lines(out) {
		var d trial.Difference
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("whatif printed %q: %v", line, err)
		}
		switch d.Kind {
		case trial.DecisionDiffers:
			turned = append(turned, fmt.Sprintf("%s v%d", d.Stream, d.Version))
		case "summary":
			if err := json.Unmarshal([]byte(line), &sum); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("whatif found %s", line)
		}
	}
	slices.Sort(turned)
	return sum, turned
}

// worded is a refusal with an amount in words.
type worded struct {
	Amount string `json:"amount"`
	application.Approved
}

// tryBroken plants a type that does not fit what is stored.
func (b *loanBook) tryBroken(t *testing.T, was facts) {
	t.Helper()
	types := map[string]application.Event{}
	for _, name := range application.Applications.Events.Names() {
		zero, err := application.Applications.Events.DecodeStrict(store.JSON, name, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		types[name] = zero
	}
	types["declined"] = worded{}
	broken := app
	aggregate := application.Applications
	aggregate.Events = store.NewTypes(types)
	broken.Aggregates = []actor.Definition{aggregate}
	code, out, talk := b.runAs(t, broken, "schema", "check", "--json")
	var report trial.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("schema check printed %q, said %q: %v", out, talk, err)
	}
	if code != 1 || report.Failures != was.declined || report.Events != was.events || len(report.Failed) != 1 {
		t.Fatalf("schema check: exit code %d, %d failures of %d kinds, want 1, %d of 1", code, report.Failures, len(report.Failed), was.declined)
	}
	f := report.Failed[0]
	at, is := firstOf(t, b, "declined")
	if f.Type != "declined" || f.Schema != 1 || f.Count != was.declined || f.Position != at || f.Stream != is.String() || was.firstDeclined[f.Stream] != f.Version {
		t.Errorf("the planted type is reported as %+v; the first is at position %d of %s", f, at, is)
	}
	if !strings.Contains(talk, "declined in schema version 1, first at position "+fmt.Sprint(at)) {
		t.Errorf("schema check said %q", talk)
	}
}

// firstOf finds the first event of a type by looking at all of them.
func firstOf(t *testing.T, b *loanBook, name string) (store.Position, store.StreamID) {
	t.Helper()
	conn, err := nats.Connect(b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	config, err := jetstream.Existing(t.Context(), conn, app.Name)
	if err != nil {
		t.Fatal(err)
	}
	log, err := jetstream.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	feed, err := log.Follow(t.Context(), store.Follow{})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	for {
		commits, err := feed.Next(t.Context(), 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commits {
			for e := range c.Recorded() {
				if e.Type == name {
					return e.Position, e.Stream
				}
			}
		}
	}
}

// runAs runs the command line of a build against the loan book.
func (b *loanBook) runAs(t *testing.T, build node.App, args ...string) (code int, out, talk string) {
	t.Helper()
	var outText, talkText bytes.Buffer
	streams := node.Streams{In: strings.NewReader(""), Out: &outText, Err: &talkText}
	code = node.Run(t.Context(), build, streams, append(args, "-s", b.url, "--timeout", patience.String())...)
	return code, outText.String(), talkText.String()
}
