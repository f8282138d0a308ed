package fleet

import (
	"context"
	"time"

	"github.com/annals-go/annals/test/harness"
)

// Until is [harness.Until].
func Until(ctx context.Context, limit time.Duration, what string, holds func() error) error {
	return harness.Until(ctx, limit, what, holds)
}

// Pause is [harness.Pause].
func Pause(ctx context.Context, d time.Duration) error { return harness.Pause(ctx, d) }
