package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/annals-go/annals/store"
)

// read asks for the states of random applications, every other time with a
// barrier.
func (l *Load) read(ctx context.Context, reader int) {
	random := rand.New(rand.NewPCG(l.config.Seed, 1<<32+uint64(reader)))
	client := l.config.Clients[reader%len(l.config.Clients)]
	for Pause(ctx, time.Duration(random.Float64()*2*float64(l.config.ReadEvery))) == nil {
		id := fmt.Sprintf("%s-%d", l.config.Name, random.IntN(l.config.Applications))
		_, _ = l.history.Ask(ctx, client, id, reader, random.IntN(2) == 0, askLimit) // it is counted
	}
}

// askLimit is how long a reader waits for an answer.
const askLimit = 5 * time.Second

// Ask asks for the state of an application, waits at most until the deadline
// is over, and notes the answer. The error says why there was none.
func (h *History) Ask(ctx context.Context, c Client, id string, reader int, linearizable bool, deadline time.Duration) (Read, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	r := Read{Stream: id, Reader: reader, Linearizable: linearizable}
	r.Sent = h.Now()
	s, err := c.Read(ctx, stream(id), linearizable)
	r.Done = h.Now()
	if errors.Is(err, store.ErrNotFound) {
		h.read(r) // the state before the first event
		return r, nil
	}
	if err == nil {
		r.Version = s.Version
		err = json.Unmarshal(s.State, &r.State)
	}
	if err != nil {
		h.readFailed()
		return r, err
	}
	h.read(r)
	return r, nil
}
