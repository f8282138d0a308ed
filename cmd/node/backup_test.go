package node

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// Who interrupts a backup or a restore is told what the same command does then.
func TestInterruptedBackup(t *testing.T) {
	t.Parallel()
	st := newStage(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	where := filepath.Join(t.TempDir(), "backups")
	for command, want := range map[string]string{
		"create":  "interrupted: no backup was made; the same command makes it\n",
		"restore": "interrupted; the same command goes on\n",
		"ls":      "",
	} {
		var args []string
		switch command {
		case "ls":
			args = []string{"backup", "ls", "nats:COPIES"}
		default:
			args = []string{"backup", command, where}
		}
		code, _, talk := st.run(ctx, "", args...)
		if code != exitInterrupted || !strings.HasSuffix(talk, want) || want == "" && talk != "" {
			t.Errorf("%s: exit code %d, said %q, want %q", command, code, talk, want)
		}
	}
}
