package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// Forget writes down that a data subject was forgotten, so that views hear of it in the order of the
// log: once for each e.ID. It returns where. The errors are those of [store.Log].
func (l *Ledger) Forget(ctx context.Context, subject string, e privacy.Erasure) (store.Position, error) {
	n := privacy.NoticeOf(subject, e)
	n.At = n.At.UTC().Truncate(time.Microsecond)
	event, err := n.Event(l.log.Codec(), 0)
	if err != nil {
		return 0, err
	}
	a := appending{stream: n.Stream(), command: e.ID.String(), name: "forget", by: e.By, time: time.Now(), event: event}
	t := tailOf(a.stream)
	leave, err := l.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	at, err := l.append(ctx, t, a)
	if err != nil {
		return 0, fmt.Errorf("note that somebody was forgotten: %w", err)
	}
	return at, nil
}
