package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/migrate"
)

func testSession(env map[string]string) (s *Session, out, talk *strings.Builder) {
	out, talk = new(strings.Builder), new(strings.Builder)
	s = newSession(App{Name: "bank"}, Streams{
		In: strings.NewReader(""), Out: out, Err: talk, Env: func(name string) string { return env[name] },
	})
	s.flags.namespace, s.flags.timeout = "bank", defaultTimeout
	return s, out, talk
}

// Who writes to a namespace that is migrated has damaged nothing.
func TestMovedFailure(t *testing.T) {
	t.Parallel()
	s, _, talk := testSession(nil)
	console.Tell(s.Console, explain(t.Context(), s, movedFailure("bank", fmt.Errorf("migrate: %w", migrate.ErrMoved))))
	want := "error: bank was written to meanwhile [STILL_WRITTEN]\n  why: migrate: the old log is still written to\n" +
		"  fix: stop its nodes and give the command again: what is copied stays copied\n"
	if diff := cmp.Diff(want, talk.String()); diff != "" {
		t.Error(diff)
	}
}

// What the operating system refuses is no system that is down, unless something may have been stored.
func TestFilesOfOthers(t *testing.T) {
	t.Parallel()
	s, _, talk := testSession(nil)
	s.prepared = true
	refused := &fs.PathError{Op: "open", Path: "arch/bank", Err: fs.ErrPermission}
	console.Tell(s.Console, explain(t.Context(), s, fmt.Errorf("list arch: %w: %w", store.ErrUnavailable, refused)))
	want := "error: arch/bank cannot be used [FILE_ACCESS]\n  why: open arch/bank: permission denied\n" +
		"  fix: let the user who runs this read it, and write where something is to be kept; or name another place\n"
	if diff := cmp.Diff(want, talk.String()); diff != "" {
		t.Error(diff)
	}
	for err, code := range map[error]gateway.Code{
		fmt.Errorf("append: %w: %w", store.ErrUnknown, refused):                                           gateway.CodeUnknownOutcome,
		fmt.Errorf("list: %w: %w", store.ErrUnavailable, &fs.PathError{Err: fs.ErrClosed}):                gateway.CodeUnavailable,
		fmt.Errorf("dial: %w: %w", store.ErrUnavailable, os.NewSyscallError("connect", fs.ErrPermission)): gateway.CodeUnavailable,
	} {
		if f := explain(t.Context(), s, err); f.Code != code {
			t.Errorf("%v is told as %s, want %s", err, f.Code, code)
		}
	}
}

// Who interrupts a command is not told that the system is down, which it was not.
func TestInterruptedWhileItWaits(t *testing.T) {
	t.Parallel()
	s, _, talk := testSession(nil)
	s.prepared = true
	away := fmt.Errorf("store key of \"c7\": %w: context canceled", store.ErrUnavailable)
	unknown := &store.UnknownError{Stream: store.StreamID{Type: "a", ID: "1"}, Reason: errors.New("no answer")}
	if f := explain(t.Context(), s, away); f.Exit != console.ExitUnavailable {
		t.Errorf("nobody interrupted it: %+v", f)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	if err := s.onInterrupt(ctx, away, "the same command goes on"); !errors.Is(err, away) || talk.String() != "the same command goes on\n" {
		t.Errorf("%v; it is told %q", err, talk)
	}
	if f := explain(ctx, s, away); f.Exit != console.ExitInterrupted || strings.Contains(f.What, "c7") {
		t.Errorf("it is told %+v", f)
	}
	if f := explain(ctx, s, unknown); f.Exit == console.ExitInterrupted {
		t.Errorf("of an unknown outcome it is told %+v", f)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	s, _, _ := testSession(nil)
	own := Usage("no")
	if f := explain(t.Context(), s, errors.New("unknown flag")); f.Exit != console.ExitUsage {
		t.Errorf("before the command line is understood, an error has exit code %d", f.Exit)
	}
	s.prepared = true
	for _, test := range []struct {
		err  error
		code string
		exit int
	}{
		{fmt.Errorf("import: %w", own), "USAGE", console.ExitUsage},
		{errors.New("disk on fire"), "FAILURE", console.ExitFailure},
		{fmt.Errorf("open log: %w", &jetstream.APIError{Code: 400, ErrorCode: 10005}), "NOT_REPLICATED", console.ExitFailure},
		{fmt.Errorf("join cluster: %w: a node a runs", cluster.ErrNameTaken), "NAME_TAKEN", console.ExitFailure},
		{fmt.Errorf("join cluster: %w", &cluster.UnlikeError{Node: "a", Other: "b"}), "UNLIKE_NODES", console.ExitFailure},
		{&actor.RejectedError{Reason: errors.New("not enough money")}, "REJECTED", console.ExitConflict},
	} {
		f := explain(t.Context(), s, test.err)
		if string(f.Code) != test.code || f.Exit != test.exit {
			t.Errorf("%v: %s and exit code %d, want %s and %d", test.err, f.Code, f.Exit, test.code, test.exit)
		}
	}
}

func TestKindsAreComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range kinds {
		if seen[string(k.code)] {
			t.Errorf("%s is there twice", k.code)
		}
		seen[string(k.code)] = true
		if k.exit == console.ExitOK || k.meaning == "" {
			t.Errorf("%s: exit code %d, meaning %q", k.code, k.exit, k.meaning)
		}
	}
}
