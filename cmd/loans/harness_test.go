package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/cmd/loans/history"
	"github.com/annals-go/annals/cmd/node"
)

// patience bounds every wait, on a machine that has other things to do too.
const patience = 60 * time.Second

// loanBook is a running "loans dev".
type loanBook struct {
	url    string
	cancel context.CancelFunc
	exited chan int
}

// startLoans runs "loans dev" in this process until the test ends or stop is
// called. Without arguments it is in memory and on a free port.
func startLoans(t *testing.T, args ...string) *loanBook {
	t.Helper()
	if len(args) == 0 {
		args = []string{"--nats", "127.0.0.1:0"}
	}
	ctx, cancel := context.WithCancel(context.Background())
	out, addresses := io.Pipe()
	var talk bytes.Buffer
	b := &loanBook{cancel: cancel, exited: make(chan int, 1)}
	go func() {
		streams := node.Streams{In: strings.NewReader(""), Out: addresses, Err: &talk}
		code := node.Run(ctx, app, streams, append([]string{"dev", "--headless", "--json", "--http", "127.0.0.1:0"}, args...)...)
		addresses.Close()
		b.exited <- code
	}()
	t.Cleanup(b.stop)
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		b.stop()
		t.Fatalf("dev ended before it was ready: %s", talk.String())
	}
	var ready struct {
		NATS string `json:"nats"`
	}
	if err := json.Unmarshal(lines.Bytes(), &ready); err != nil || ready.NATS == "" {
		t.Fatalf("dev printed %q: %v", lines.Text(), err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	b.url = ready.NATS
	return b
}

// stop ends dev and waits for it.
func (b *loanBook) stop() {
	b.cancel()
	select {
	case code := <-b.exited:
		b.exited <- code
	case <-time.After(patience):
		panic("dev does not end")
	}
}

// run runs the command line against the loan book.
func (b *loanBook) run(t *testing.T, args ...string) (code int, out, talk string) {
	t.Helper()
	return run(t, append(args, "-s", b.url, "--timeout", patience.String())...)
}

// importJSON runs import and returns the totals of its last line.
func (b *loanBook) importJSON(t *testing.T, path string) (code int, got totals, talk string) {
	t.Helper()
	code, out, talk := b.run(t, "import", path, "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	decoder := json.NewDecoder(strings.NewReader(lines[len(lines)-1]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatalf("import printed %q, said %q: %v", out, talk, err)
	}
	return code, got, talk
}

// documents returns the documents of a view once it has caught up, by key.
func documents[D any](t *testing.T, b *loanBook, view string) map[string]D {
	t.Helper()
	b.waitForView(t, view)
	code, out, talk := b.run(t, "view", "ls", view, "--json")
	if code != 0 {
		t.Fatalf("view ls %s: exit code %d, %s", view, code, talk)
	}
	docs := map[string]D{}
	for line := range strings.Lines(out) {
		var d struct {
			Key      string
			Document D
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("view ls %s printed %q: %v", view, line, err)
		}
		docs[d.Key] = d.Document
	}
	return docs
}

// waitForView asks until the view has come to the end of the log.
func (b *loanBook) waitForView(t *testing.T, view string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		_, out, _ := b.run(t, "projection", "ls", "--json")
		for line := range strings.Lines(out) {
			var p struct {
				Name             string
				Checkpoint, Head uint64
			}
			if json.Unmarshal([]byte(line), &p) == nil && p.Name == view && p.Head > 0 && p.Checkpoint >= p.Head {
				return
			}
		}
	}
	t.Fatalf("view %s does not catch up", view)
}

func run(t *testing.T, args ...string) (code int, out, talk string) {
	t.Helper()
	var outText, talkText bytes.Buffer
	streams := node.Streams{In: strings.NewReader(""), Out: &outText, Err: &talkText}
	code = node.Run(t.Context(), app, streams, args...)
	return code, outText.String(), talkText.String()
}

// writeSample writes an invented history to a file and returns its path and
// the number of its events.
func writeSample(t *testing.T, applications int, seed uint64) (path string, events int64) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "history.xes")
	var text bytes.Buffer
	if err := history.Write(&text, history.Sample(applications, seed)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, int64(bytes.Count(text.Bytes(), []byte("<event>")))
}
