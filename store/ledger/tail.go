package ledger

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/annals-go/annals/store"
)

// tail is what is known of a stream: where it ends, and which commands it has.
type tail struct {
	stream store.StreamID
	head   store.Head
	has    map[digest]store.Position
}

// digest stands for the id of a command: it is shorter, and no two are alike.
type digest [16]byte

func digestOf(command string) digest {
	sum := sha256.Sum256([]byte(command))
	return digest(sum[:len(digest{})])
}

// maxKnown is how many commands are remembered of a stream, and maxAll of all streams together,
// beside those of the one at hand. Of a stream that has more, some of its oldest may be stored
// again if they are recorded again.
const (
	maxKnown = 1 << 16
	maxAll   = 1 << 19
)

func tailOf(stream store.StreamID) *tail {
	return &tail{stream: stream, has: map[digest]store.Position{}}
}

// tail returns what is known of a stream of acts. If too much is known, some others are read
// again when they are wanted. It is called in the caller's turn.
func (l *Ledger) tail(stream store.StreamID) *tail {
	t := l.tails[stream]
	if t == nil {
		t = tailOf(stream)
	}
	if len(t.has) > maxKnown {
		clear(t.has)
	}
	delete(l.tails, stream)
	l.forgetSome()
	l.tails[stream] = t
	return t
}

func (l *Ledger) forgetSome() {
	all := 0
	for stream, t := range l.tails {
		if all += len(t.has) + 1; all > maxAll {
			delete(l.tails, stream)
		}
	}
}

// append stores an event at the end of a stream, unless there is one of the same command,
// and returns where it is.
func (l *Ledger) append(ctx context.Context, t *tail, e appending) (store.Position, error) {
	for {
		if err := t.catchUp(ctx, l.log); err != nil {
			return 0, err
		}
		if at := t.has[digestOf(e.command)]; at > 0 {
			return at, nil
		}
		c := e.commit(t.head)
		head, err := l.log.Append(ctx, c)
		if err == nil {
			t.head, t.has[digestOf(e.command)] = head, c.Last()
			return c.Last(), nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return 0, err
		}
	}
}

// catchUp reads what others have appended.
func (t *tail) catchUp(ctx context.Context, log store.Log) error {
	for c, err := range log.Read(ctx, t.stream, t.head) {
		if err != nil {
			return err
		}
		t.head = c.Head()
		for i := range c.Commands {
			t.has[digestOf(c.Commands[i].ID)] = c.Last()
		}
	}
	return nil
}
