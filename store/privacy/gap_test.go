package privacy_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/store/privacy"
)

// ending is a key store that cannot be followed for longer than a moment, for a reason.
type ending struct {
	privacy.Keys
	why error
}

func (e ending) Follow(_ context.Context, _ func(privacy.Record), alive func()) error {
	alive()
	return fmt.Errorf("follow: %w", e.why)
}

// Keys that were moved are followed anew without a word, and every other gap is told of.
func TestMovedKeysAreNoTrouble(t *testing.T) {
	t.Parallel()
	for why, told := range map[error]bool{privacy.ErrMoved: false, errGone: true} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			k, err := privacy.NewKeyring(privacy.KeyringConfig{
				Keys: ending{privacy.NewMemory(), why}, Wrapper: wrapper(t), Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := k.Run(ctx); err != nil {
				t.Error(err)
			}
			if strings.Contains(log.String(), "cannot be followed") != told {
				t.Errorf("after %v it logs %q", why, log.String())
			}
		})
	}
}
