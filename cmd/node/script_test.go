package node_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/annals-go/annals/cmd/node"
)

// patience bounds every wait of the scripts, on a machine that has other
// things to do too.
const patience = time.Minute

// TestScripts runs the binary from outside. The scripts know, beside the
// commands of testscript:
//
//	start NAME ARG...         start "NAME dev ARG..." on free ports with --json, and wait until it printed its
//	                          addresses, which stdout then has; sets NATS_URL and HTTP
//	start -banner NAME ARG... the same with the given arguments only
//	end SIGNAL CODE           send the signal, and expect the exit code; stderr then has the logs
//	exits CODE NAME ARG...    run a command, and expect the exit code
//	probe STATUS PATH         get a path from HTTP, and expect the status; stdout then has the body
//	until PATTERN NAME ARG... run a command until it succeeds and a line of what it prints matches; negated: none does
//	remember NAME             set a variable to what the last command printed, a JSON string or a word
//	damage DIR                flip a bit of each file log-000001 below a directory
//	freeze, thaw              have the processes in the background stand still, and go on
//	occupy ADDRESS            see to it that somebody listens there; sets PORT
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			e.Setenv("NATS_TIMEOUT", patience.String())
			e.Setenv("GORACE", "atexit_sleep_ms=0") // under the race detector each process would end a second late
			e.Values[devKey{}] = &running{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": start, "end": end, "exits": exits, "until": until, "probe": probe, "occupy": occupy, "remember": remember,
			"damage": damage, "freeze": freeze, "thaw": thaw,
		},
		Deadline:      time.Now().Add(4 * patience),
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// devKey is where a script keeps its dev process.
type devKey struct{}

// running is the dev process of a script.
type running struct {
	cmd    *exec.Cmd
	stderr lockedText
	exited chan error
}

// lockedText is a buffer that a process writes while a test reads.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("start cannot be negated: use exits")
	}
	last := regexp.MustCompile(`http://`)
	switch {
	case args[0] == "-banner":
		last, args = regexp.MustCompile(`^  Try `), args[1:]
	case !slices.Contains(args, "--headless"):
		args = append(args, "--json", "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0")
	}
	r := ts.Value(devKey{}).(*running)
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	*r = running{cmd: exec.Command(path, append([]string{"dev"}, args[1:]...)...), exited: make(chan error, 1)}
	r.cmd.Dir = ts.MkAbs(".")
	r.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+ts.Getenv("XDG_CONFIG_HOME"), "TMPDIR="+ts.Getenv("TMPDIR"))
	r.cmd.Stderr = &r.stderr
	out, err := r.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(r.cmd.Start())
	ts.Defer(func() { _ = r.cmd.Process.Kill() })
	text := make(chan string, 1)
	go func() {
		printed := readUntil(out, last)
		text <- printed
		_, _ = io.Copy(io.Discard, out)
		r.exited <- r.cmd.Wait()
	}()
	select {
	case printed := <-text:
		fmt.Fprint(ts.Stdout(), printed)
		setAddresses(ts, r, printed)
	case <-time.After(patience):
		ts.Fatalf("nothing printed after %v: %s", patience, r.stderr.String())
	}
}

func readUntil(in io.Reader, last *regexp.Regexp) string {
	var text strings.Builder
	for lines := bufio.NewScanner(in); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if last.MatchString(lines.Text()) {
			break
		}
	}
	return text.String()
}

func setAddresses(ts *testscript.TestScript, r *running, printed string) {
	nats := regexp.MustCompile(`nats://[0-9.:]+`).FindString(printed)
	web := regexp.MustCompile(`http://[0-9.:]+`).FindString(printed)
	if nats == "" || web == "" {
		ts.Fatalf("no addresses in %q; stderr: %s", printed, r.stderr.String())
	}
	ts.Setenv("NATS_URL", nats)
	ts.Setenv("HTTP", web)
}

func end(ts *testscript.TestScript, _ bool, args []string) {
	r := ts.Value(devKey{}).(*running)
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}
	ts.Check(r.cmd.Process.Signal(signals[args[0]]))
	select {
	case err := <-r.exited:
		fmt.Fprint(ts.Stderr(), r.stderr.String())
		expectCode(ts, args[1], err)
	case <-time.After(patience):
		ts.Fatalf("still running %v after SIG%s: %s", patience, args[0], r.stderr.String())
	}
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	expectCode(ts, args[0], ts.Exec(args[1], args[2:]...))
}

// expectCode compares an exit code; -1 is that of a process that was killed.
func expectCode(ts *testscript.TestScript, want string, err error) {
	code := 0
	if exit, is := errors.AsType[*exec.ExitError](err); is {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[0])
	pause := time.NewTicker(100 * time.Millisecond) // a process costs more than what it asks
	defer pause.Stop()
	for end := time.Now().Add(patience); ; <-pause.C {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && pattern.MatchString(ts.ReadFile("stdout")) != neg {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("a line matches %s: still %v after %v: %v", args[0], neg, patience, err)
		}
	}
}

func remember(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.Trim(strings.TrimSpace(ts.ReadFile("stdout")), `"`))
}

func damage(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*", "log-000001"))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("nothing to damage in %s", args[0])
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		ts.Check(err)
		content[len(content)/2] ^= 1
		ts.Check(os.WriteFile(file, content, 0o600))
	}
}

func probe(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for ; ; <-pause.C {
		status, body := get(ctx, ts, ts.Getenv("HTTP")+args[1])
		if strconv.Itoa(status) == args[0] {
			fmt.Fprint(ts.Stdout(), body)
			return
		}
		if ctx.Err() != nil {
			ts.Fatalf("%s: status %d, want %s: %s", args[1], status, args[0], body)
		}
	}
}

func get(ctx context.Context, ts *testscript.TestScript, url string) (int, string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	ts.Check(err)
	response, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	return response.StatusCode, string(body)
}

func occupy(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", args[0])
	if errors.Is(err, syscall.EADDRINUSE) {
		return // somebody listens there already
	}
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv("PORT", port)
}

// TestStreamsOfJSON checks a promise that programs rest on: with --json,
// standard output holds one JSON object a line and nothing else.
func TestStreamsOfJSON(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version"}, {"errors", "lookup"}, {"errors", "lookup", "CONFLICT"}} {
		var out, talk strings.Builder
		code := node.Run(t.Context(), bank, node.Streams{In: strings.NewReader(""), Out: &out, Err: &talk}, append(args, "--json")...)
		if code != 0 || talk.String() != "" {
			t.Errorf("%v: exit code %d, talk %q", args, code, talk.String())
		}
		for line := range strings.Lines(out.String()) {
			var object map[string]any
			if err := json.Unmarshal([]byte(line), &object); err != nil {
				t.Errorf("%v: line %q: %v", args, line, err)
			}
		}
	}
}
