package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain puts the example's binary on the path, for the tests that kill it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"loans": main})
}

// loansProcess is a "loans dev" that keeps its data and runs in a process of
// its own, so that it can be killed. Its stop ends it in good order.
type loansProcess struct {
	*loanBook
	http  string
	ready time.Duration // from the start of the process to its addresses
	cmd   *exec.Cmd
}

// startProcess runs "loans dev --data dir" until the test ends, stop or kill.
func startProcess(t testing.TB, dir string) *loansProcess {
	t.Helper()
	path, err := exec.LookPath("loans")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "dev", "--data", dir, "--headless", "--json", "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0")
	var talk bytes.Buffer // to be read once the process has ended
	cmd.Stderr = &talk
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &loansProcess{cmd: cmd, loanBook: &loanBook{
		exited: make(chan int, 1),
		cancel: func() { _ = cmd.Process.Signal(syscall.SIGTERM) },
	}}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	said := lines.Scan()
	p.ready = time.Since(began)
	late.Stop()
	go func() {
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // a process that was killed is no failure
		p.exited <- cmd.ProcessState.ExitCode()
	}()
	if !said {
		p.kill()
		t.Fatalf("dev ended before it was ready: %s", talk.String())
	}
	var addresses struct{ NATS, HTTP string }
	if err := json.Unmarshal(lines.Bytes(), &addresses); err != nil || addresses.NATS == "" {
		t.Fatalf("dev printed %q: %v", lines.Text(), err)
	}
	p.url, p.http = addresses.NATS, addresses.HTTP
	return p
}

// kill ends the process without letting it do anything more, and waits for it.
func (p *loansProcess) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	p.stop()
}

// counter returns the value of a counter in /metrics, as it is written there
// with its labels.
func (p *loansProcess) counter(t *testing.T, name string) int {
	t.Helper()
	answer, err := http.Get(p.http + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		text, is := strings.CutPrefix(lines.Text(), name+" ")
		if !is {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return int(value)
	}
	t.Fatalf("no %s in /metrics", name)
	return 0
}
