package fleet

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// settlers send again at the same time.
	settlers = 16
	// settleLimit is how long each may take: everything is healed by then.
	settleLimit = 30 * time.Second
)

// Settle sends every command of unknown outcome again, under its id, and with
// them some that were acknowledged, from all over the run: those must be
// answered as the first time. It is called when nothing else is under way.
func (h *History) Settle(ctx context.Context, clients []Client, acknowledged int, seed uint64) {
	var unknown, known []*Op
	h.Each(func(o *Op) {
		switch o.Outcome {
		case Unknown:
			unknown = append(unknown, o)
		case OK:
			known = append(known, o)
		case Rejected, Unavailable, Unexpected:
		}
	})
	random := rand.New(rand.NewPCG(seed, 1<<33))
	random.Shuffle(len(known), func(i, j int) { known[i], known[j] = known[j], known[i] })
	all := append(unknown, known[:min(acknowledged, len(known))]...)
	var group sync.WaitGroup
	for s := range settlers {
		group.Go(func() {
			for i := s; i < len(all); i += settlers {
				h.again(ctx, clients[i%len(clients)], all[i])
			}
		})
	}
	group.Wait()
}

func (h *History) again(ctx context.Context, c Client, o *Op) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	again := &Again{}
	again.Sent = h.Now()
	a := send(ctx, c, o)
	again.Done, again.Answer = h.Now(), a
	h.mu.Lock()
	defer h.mu.Unlock()
	o.Again = again
}
