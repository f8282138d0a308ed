package node

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annals-go/annals/cmd/node/console"
)

// Who interrupts what takes long is told what was done, and what the same command does
// then.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	where, file := filepath.Join(t.TempDir(), "backups"), filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ command, want string }{
		{"backup create " + where, "interrupted: no backup was made; the same command makes it\n"},
		{"backup restore " + where, "interrupted; the same command goes on\n"},
		{"backup ls nats:COPIES", ""},
		{"event import " + file, "interrupted: 0 events in 0 commits are stored, or were there already; the same import goes on\n"},
		{"event import --dry-run " + file, "interrupted: nothing was stored\n"},
		{"schema migrate old new", "interrupted: 0 commits are copied, and new is not served; the same command goes on\n"},
		{"schema migrate old new --dry-run", "interrupted: nothing was stored\n"},
	} {
		code, _, talk := st.run(ctx, "", strings.Fields(c.command)...)
		if code != console.ExitInterrupted || !strings.HasSuffix(talk, c.want) || c.want == "" && talk != "" {
			t.Errorf("%s: exit code %d, said %q, want %q", c.command, code, talk, c.want)
		}
	}
}
