package node

import (
	"context"

	"github.com/annals-go/annals/cluster"
)

// hands are what the cluster moves when this node gets or gives away a slot:
// the actors of a partition and the door to them, or a view.
type hands struct{ *member }

var _ cluster.Handler = hands{}

// Take opens the actors before the door, so that nothing comes in vain.
func (h hands) Take(slot cluster.Slot, _ uint64) error {
	if slot.Duty != "" {
		h.assigned.Assign(slot.Duty)
		return nil
	}
	h.actors.Open(slot.Partition)
	if err := h.gateway.Serve(slot.Partition); err != nil {
		h.actors.Drop(slot.Partition)
		return err
	}
	return nil
}

// Release parks what comes from now on, and ends what is under way.
func (h hands) Release(ctx context.Context, slot cluster.Slot) {
	if slot.Duty != "" {
		h.assigned.Withdraw(slot.Duty)
		_ = h.views.Stopped(ctx, slot.Duty) // past its time the heir begins anyway, and the checkpoint fences
		return
	}
	h.gateway.Hold(slot.Partition)
	h.actors.Release(ctx, slot.Partition)
}

// Passed sends the heir what was parked and what still comes.
func (h hands) Passed(slot cluster.Slot, _ string) {
	if slot.Duty == "" {
		h.gateway.Pass(slot.Partition)
	}
}

// Drop forgets first: another may serve already.
func (h hands) Drop(slot cluster.Slot) {
	if slot.Duty != "" {
		h.assigned.Withdraw(slot.Duty)
		return
	}
	h.actors.Drop(slot.Partition)
	h.gateway.Pass(slot.Partition)
}
