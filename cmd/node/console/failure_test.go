package console

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testConsole returns a console on buffers, without a terminal.
func testConsole(env map[string]string) (c *Console, out, talk *strings.Builder) {
	out, talk = new(strings.Builder), new(strings.Builder)
	return New(Streams{
		In: strings.NewReader(""), Out: out, Err: talk, Env: func(name string) string { return env[name] },
	}), out, talk
}

func TestFailureIsThreeLines(t *testing.T) {
	t.Parallel()
	c, _, talk := testConsole(nil)
	f := &Failure{Code: CodeUsage, Exit: ExitUsage, What: "what\nhappened", Why: "because\x1b[2J", Fix: "do this"}
	Tell(c, f)
	want := "error: what; happened [USAGE]\n  why: because\\u001b[2J\n  fix: do this\n"
	if diff := cmp.Diff(want, talk.String()); diff != "" {
		t.Error(diff)
	}
}

// Who interrupts a command knows it.
func TestInterruptIsNotTold(t *testing.T) {
	t.Parallel()
	c, _, talk := testConsole(nil)
	if Tell(c, &Failure{What: "interrupted", Exit: ExitInterrupted}); talk.Len() > 0 {
		t.Errorf("it is told %q", talk)
	}
}

func TestFailureIsAnError(t *testing.T) {
	t.Parallel()
	cause := errors.New("no such flag")
	f := &Failure{What: "--x", Err: cause}
	if f.Error() != "--x" || !errors.Is(f, cause) {
		t.Errorf("%v", f)
	}
	if f.Why = "it is none"; f.Error() != "--x: it is none" {
		t.Errorf("%v", f)
	}
}
