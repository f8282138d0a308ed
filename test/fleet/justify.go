package fleet

import (
	"math"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/test/linear"
)

// justifyLimit bounds the search for an order that explains a history.
const justifyLimit = 2 * time.Minute

// Justify looks, for each stream, for an order of its commands and reads that
// explains all answers, with the application's own functions as the
// specification: so each rejection is checked against the state, and each
// state that was read. It adds the streams without one to the findings.
func Justify(f *Findings, h *History) {
	model := linear.Model(application.Applications)
	history := map[string][]porcupine.Operation{}
	h.Each(func(o *Op) {
		if op, counts := operation(o); counts {
			history[o.Stream] = append(history[o.Stream], op)
		}
	})
	for i := range h.reads {
		r := &h.reads[i]
		history[r.Stream] = append(history[r.Stream], porcupine.Operation{
			ClientId: r.Reader, Call: int64(r.Sent), Return: int64(r.Done),
			Input:  linear.Input[application.Command]{ID: r.Stream},
			Output: linear.Output{Version: r.Version, State: linear.Encode(r.State)},
		})
	}
	deadline := time.Now().Add(justifyLimit)
	for id, ops := range history {
		switch porcupine.CheckOperationsTimeout(model, ops, max(time.Until(deadline), time.Millisecond)) {
		case porcupine.Ok:
		case porcupine.Illegal:
			f.add(&f.Unjustified, "unjustified", "no order of its %d commands and reads explains the answers on %s", len(ops), id)
		case porcupine.Unknown:
			f.add(&f.Unjustified, "unjustified", "whether an order of its %d commands and reads explains the answers on %s was not found out in time", len(ops), id)
		}
	}
}

// operation translates a command. What was certainly not carried out, or
// answered as it should never be, explains nothing.
func operation(o *Op) (porcupine.Operation, bool) {
	span, a := o.Final()
	op := porcupine.Operation{
		ClientId: o.Writer, Call: int64(span.Sent), Return: int64(span.Done),
		Input: linear.Input[application.Command]{ID: o.Stream, Command: &o.Command},
	}
	switch a.Outcome {
	case OK:
		op.Output = linear.Output{Version: a.Result.Version, Events: a.Result.Events}
	case Rejected:
		op.Output = linear.Output{Rejected: a.Text}
	case Unknown:
		op.Output, op.Return = linear.Output{Unknown: true}, math.MaxInt64 // it may still come
	case Unavailable, Unexpected:
		return op, false
	}
	return op, true
}
