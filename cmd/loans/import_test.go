package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/history"
	"github.com/annals-go/annals/cmd/loans/views"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// TestImport imports an invented history and holds the views to what the
// histories say; a second import, of a compressed copy under another name,
// stores nothing.
func TestImport(t *testing.T) {
	t.Parallel()
	b := startLoans(t)
	path, events := writeSample(t, 100, 5)
	code, got, talk := b.importJSON(t, path)
	want := totals{Applications: 100, Events: events, Sent: events, Stored: events, Seconds: got.Seconds}
	if code != 0 || got != want || talk != "" || got.Seconds <= 0 {
		t.Fatalf("import: exit code %d, %+v, said %q; want %+v", code, got, talk, want)
	}

	steps, outcomes := map[string]int64{}, map[string]views.Sum{}
	for trace := range history.Sample(100, 5) {
		outcome := "open"
		for _, e := range trace.Events {
			steps[e.Key()]++
			switch e.Activity {
			case "A_ACTIVATED", "A_DECLINED", "A_CANCELLED":
				outcome = strings.ToLower(strings.TrimPrefix(e.Activity, "A_"))
			}
		}
		sum := outcomes[outcome]
		outcomes[outcome] = views.Sum{Count: sum.Count + 1, Amount: sum.Amount + trace.Amount}
	}
	counts := map[string]int64{}
	for key, d := range documents[views.Activity](t, b, "activities") {
		counts[key] = d.Count
	}
	if d := cmp.Diff(steps, counts); d != "" {
		t.Errorf("activities (-file +view):\n%s", d)
	}
	if d := cmp.Diff(outcomes, documents[views.Sum](t, b, "outcomes")); d != "" {
		t.Errorf("outcomes (-file +view):\n%s", d)
	}
	if n := len(documents[views.Application](t, b, "applications")); n != 100 {
		t.Errorf("the view applications has %d documents, want 100", n)
	}

	code, got, talk = b.importJSON(t, compressed(t, path))
	want = totals{Applications: 100, Events: events, Sent: events, Duplicate: events, Seconds: got.Seconds}
	if code != 0 || got != want || talk != "" {
		t.Errorf("second import: exit code %d, %+v, said %q; want %+v", code, got, talk, want)
	}
	if code, out, _ := b.run(t, "import", path); code != 0 || !strings.HasPrefix(out, "100 applications, ") || !strings.Contains(out, " 0 stored, ") {
		t.Errorf("import for people: exit code %d, %q", code, out)
	}
}

// TestImportRejections: what the domain rejects is counted and told, and the
// rest is stored.
func TestImportRejections(t *testing.T) {
	t.Parallel()
	b := startLoans(t)
	var traces []*history.Trace
	for trace := range history.Sample(10, 1) {
		trace.Events = trace.Events[1:] // nobody submits
		if len(trace.Events) > 2 {
			trace.Events = trace.Events[:2]
		}
		traces = append(traces, trace)
	}
	for trace := range history.Sample(11, 1) {
		if trace.Application == "500011" {
			traces = append(traces, trace)
		}
	}
	accepted := int64(len(traces[10].Events))
	rejected := int64(0)
	for _, trace := range traces[:10] {
		rejected += int64(len(trace.Events))
	}
	code, got, talk := b.importJSON(t, writeTraces(t, traces...))
	want := totals{Applications: 11, Events: rejected + accepted, Sent: rejected + accepted, Stored: accepted, Rejected: rejected, Seconds: got.Seconds}
	if code != 4 || got != want {
		t.Errorf("exit code %d, %+v; want 4, %+v", code, got, want)
	}
	if n := strings.Count(talk, "the application has not been submitted"); n != shownRejections {
		t.Errorf("%d rejections told, want %d: %s", n, shownRejections, talk)
	}
	if more := fmt.Sprintf("rejected: %d more", rejected-shownRejections); !strings.Contains(talk, more) {
		t.Errorf("no %q in %s", more, talk)
	}
}

// TestImportAnotherStory: a file that tells another story under the same
// application numbers is found out, command by command.
func TestImportAnotherStory(t *testing.T) {
	t.Parallel()
	b := startLoans(t)
	trace := func(amount int64) *history.Trace {
		for trace := range history.Sample(1, 1) {
			trace.Amount, trace.Events = amount, trace.Events[:1]
			return trace
		}
		return nil
	}
	if code, _, talk := b.importJSON(t, writeTraces(t, trace(100))); code != 0 {
		t.Fatalf("first import: exit code %d: %s", code, talk)
	}
	code, got, talk := b.importJSON(t, writeTraces(t, trace(200)))
	if code != 4 || got.Rejected != 1 || got.Stored != 0 || got.Duplicate != 0 || !strings.Contains(talk, "another body") {
		t.Errorf("exit code %d, %+v, said %q; want one rejection", code, got, talk)
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	b := startLoans(t)
	good, events := writeSample(t, 3, 1)
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("half a file, after what it has", func(t *testing.T) {
		t.Parallel()
		half := strings.TrimSuffix(string(text), "</log>\n")
		code, got, talk := b.importJSON(t, write("half.xes", half))
		if code != 1 || got.Sent != events || !strings.Contains(talk, "unexpected EOF") {
			t.Errorf("exit code %d, %+v, said %q", code, got, talk)
		}
	})
	t.Run("an activity that nobody knows", func(t *testing.T) {
		t.Parallel()
		code, _, talk := b.importJSON(t, write("alien.xes", strings.Replace(string(text), "A_PARTLYSUBMITTED", "A_LOST", 1)))
		if code != 1 || !strings.Contains(talk, `"A_LOST/COMPLETE"`) {
			t.Errorf("exit code %d, said %q", code, talk)
		}
	})
	for _, c := range []struct {
		name string
		code int
		says string
		args []string
	}{
		{"no file", 2, "wrong number of arguments", []string{"import"}},
		{"a file that is not there", 1, "no such file", []string{"import", filepath.Join(t.TempDir(), "none.xes")}},
		{"a directory", 1, "is a directory", []string{"import", t.TempDir()}},
		{"nothing in flight", 2, "--in-flight 0", []string{"import", good, "--in-flight", "0"}},
		{"nobody there", 5, "cannot connect", []string{"import", good, "-s", "nats://127.0.0.1:1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, _, talk := run(t, append([]string{"-s", b.url}, c.args...)...)
			if code != c.code || !strings.Contains(talk, c.says) {
				t.Errorf("exit code %d, said %q; want %d, %q", code, talk, c.code, c.says)
			}
		})
	}
}

// TestImportInterrupted: an import that is told to stop says what it did, and
// the next one does the rest and no more.
func TestImportInterrupted(t *testing.T) {
	t.Parallel()
	b := startLoans(t)
	i := newImporter(t, b, 8)
	ctx, cancel := context.WithCancel(t.Context())
	err := i.run(ctx, during(history.Sample(60, 9), 30, cancel))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that of the context", err)
	}
	first := i.totals(0)
	if first.Stored == 0 || first.Stored >= first.Events || first.Rejected > 0 {
		t.Fatalf("the interrupted import did %+v, want some of it", first)
	}
	path, events := writeSample(t, 60, 9)
	code, got, talk := b.importJSON(t, path)
	if code != 0 || got.Duplicate != first.Stored || got.Stored != events-first.Stored || got.Rejected != 0 {
		t.Errorf("exit code %d, %+v after %+v, said %q", code, got, first, talk)
	}
}

// TestImportOutlastsARestart: commands that nobody can take, or whose answer is
// lost, are sent again under their ids until a node is back.
func TestImportOutlastsARestart(t *testing.T) {
	t.Parallel()
	args := []string{"--data", filepath.Join(t.TempDir(), "data"), "--nats", freeAddress(t)}
	b := startLoans(t, args...)
	i := newImporter(t, b, 32)
	err := i.run(t.Context(), during(history.Sample(80, 9), 40, func() {
		b.stop()
		b = startLoans(t, args...)
	}))
	if err != nil {
		t.Fatalf("import: %v", err)
	}
	got := i.totals(0)
	if got.Applications != 80 || got.Stored+got.Duplicate != got.Events || got.Rejected != 0 {
		t.Errorf("the import did %+v", got)
	}
	counts := int64(0)
	for _, d := range documents[views.Activity](t, b, "activities") {
		counts += d.Count
	}
	if counts != got.Events {
		t.Errorf("the view has %d events, the file %d", counts, got.Events)
	}
}

func TestBar(t *testing.T) {
	t.Parallel()
	var terminal bytes.Buffer
	b := newBar(&terminal, 100, func() int64 { return 50 }, func() int64 { return 1_234 })
	if _, err := b.Write([]byte("rejected: 50% of %d\n")); err != nil {
		t.Fatal(err)
	}
	b.stop(false)
	for _, want := range []string{"1,234 commands", "a second", "rejected: 50% of %d"} {
		if !strings.Contains(terminal.String(), want) {
			t.Errorf("no %q in %q", want, terminal.String())
		}
	}
}

func TestSample(t *testing.T) {
	t.Parallel()
	_, one, _ := run(t, "sample", "--applications", "20", "--seed", "3")
	_, again, _ := run(t, "sample", "--applications", "20", "--seed", "3")
	if one != again || strings.Count(one, "<trace>") != 20 {
		t.Errorf("two samples of 20 are equal: %v, with %d traces", one == again, strings.Count(one, "<trace>"))
	}
	if code, _, talk := run(t, "sample", "--applications", "-1"); code != 2 || !strings.Contains(talk, "--applications -1") {
		t.Errorf("a sample of -1: exit code %d, said %q", code, talk)
	}
}

// TestTry: the line that dev prints to try is one that works.
func TestTry(t *testing.T) {
	t.Parallel()
	b := startLoans(t)
	_, command, _ := strings.Cut(app.Try, "nats req ")
	subject, body, _ := strings.Cut(command, " ")
	conn, err := nats.Connect(b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer, err := conn.Request(subject, []byte(strings.Trim(body, "'")), patience)
	if err != nil || !strings.Contains(string(answer.Data), `"version":1`) {
		t.Errorf("answer %v, %v", answer, err)
	}
}

func newImporter(t *testing.T, b *loanBook, inFlight int) *importer {
	t.Helper()
	conn, err := nats.Connect(b.url, nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	client, err := gateway.NewClient(gateway.ClientConfig{Conn: conn, Namespace: app.Name, Timeout: patience, Codec: store.MsgPack})
	if err != nil {
		t.Fatal(err)
	}
	return &importer{sender: gateway.For(client, application.Applications), inFlight: inFlight, rejections: rejections{out: t.Output()}}
}

// during yields traces and calls what when n of them were taken.
func during(traces iter.Seq[*history.Trace], n int, what func()) iter.Seq2[*history.Trace, error] {
	return func(yield func(*history.Trace, error) bool) {
		taken := 0
		for trace := range traces {
			if !yield(trace, nil) {
				return
			}
			if taken++; taken == n {
				what()
			}
		}
	}
}

func writeTraces(t *testing.T, traces ...*history.Trace) string {
	t.Helper()
	var text bytes.Buffer
	err := history.Write(&text, func(yield func(*history.Trace) bool) {
		for _, trace := range traces {
			if !yield(trace) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "traces.xes")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// compressed returns the path of a compressed copy of a file.
func compressed(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(text)
	if err := errors.Join(err, z.Close(), os.WriteFile(path+".copy", b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path + ".copy"
}

// freeAddress returns an address that nobody listens on now: a node that comes
// back has to come back there.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
