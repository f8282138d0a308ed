package jetstream

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// loadWindow and loadWindowBytes bound what a loader has sent and not seen
	// acknowledged: enough to keep a server busy over a round trip of some
	// milliseconds.
	loadWindow      = 1024
	loadWindowBytes = 8 << 20
	// loadWait is how long a loader waits for the next acknowledgement before it
	// looks what is stored; loadPatience how long it does so without any progress.
	loadWait     = 5 * time.Second
	loadPatience = 30 * time.Second
)

// loading is a commit that was sent.
type loading struct {
	sequence uint64 // in its log stream
	message  *nats.Msg
}

// lane returns the log stream of the window, and what it is on the server.
func (d *Loader) lane() (*lane, *kept) { return &d.lanes[d.at], &d.log.names.streams[d.at] }

// send sends a message to a log stream, when its turn has come.
func (d *Loader) send(ctx context.Context, stream int, m *nats.Msg) error {
	if stream != d.at && d.failure == nil {
		if err := d.arrive(ctx); err != nil {
			return err
		}
		d.at = stream
	}
	for d.failure == nil && d.full(m) {
		d.settle(ctx)
	}
	if d.failure != nil {
		return d.failure
	}
	lane, _ := d.lane()
	m.Header.Set(nats.ExpectedLastSeqHdr, strconv.FormatUint(lane.end, 10))
	m.Reply = lane.call.reply
	lane.end++
	d.end++
	d.last = spot{stream, m.Subject, lane.end}
	d.window = append(d.window, loading{lane.end, m})
	d.bytes += len(m.Data)
	if err := d.log.send(m); err != nil {
		d.recover(ctx, err)
	}
	return d.failure
}

// full reports whether the message has to wait. A replicated stream takes no two
// messages of one subject at a time under an expectation.
func (d *Loader) full(m *nats.Msg) bool {
	if len(d.window) >= loadWindow || len(d.window) > 0 && d.bytes+len(m.Data) > loadWindowBytes {
		return true
	}
	return d.log.replicas > 1 && slices.ContainsFunc(d.window, func(w loading) bool { return w.message.Subject == m.Subject })
}

// settle waits for one acknowledgement.
func (d *Loader) settle(ctx context.Context) {
	lane, _ := d.lane()
	m, err := lane.call.wait(ctx, loadWait)
	if err != nil {
		d.recover(ctx, err)
		return
	}
	got := readAnswer(m)
	switch {
	case got.verdict == refused:
		_ = d.fail(got.reason)
	case got.verdict != stored:
		d.recover(ctx, got.reason)
	case got.sequence < d.window[0].sequence:
		// The answer to an earlier try of what is settled.
	case got.sequence > lane.end:
		d.conflict(d.end + got.sequence - lane.end)
	default:
		d.drop(got.sequence)
	}
}

// drop takes what is stored, up to a sequence, out of the window: each was stored
// only if the one before it was.
func (d *Loader) drop(sequence uint64) {
	n := 0
	for ; n < len(d.window) && d.window[n].sequence <= sequence; n++ {
		d.bytes -= len(d.window[n].message.Data)
	}
	d.window = slices.Delete(d.window, 0, n)
	if d.log.order == nil { // else that is seen in the order
		d.log.durable.see(sequence)
	}
}

// recover looks what is stored of the window after something went wrong, and
// sends the rest again, one by one: every message names its place, so one that
// was sent before and arrives late changes nothing.
func (d *Loader) recover(ctx context.Context, cause error) {
	lane, _ := d.lane()
	d.log.inbox.close(lane.call) // answers to what was sent so far are of no use
	lane.call = d.log.inbox.openFor(2 * loadWindow)
	deadline := time.Now().Add(loadPatience)
	for try := 0; d.failure == nil && len(d.window) > 0; try++ {
		before := len(d.window)
		d.look(ctx)
		if d.failure != nil || len(d.window) == 0 {
			return
		}
		if err := d.again(ctx); err != nil {
			cause = err
		}
		if len(d.window) < before {
			try, deadline = 0, time.Now().Add(loadPatience)
			continue
		}
		if err := pause(ctx, try); err != nil || time.Now().After(deadline) {
			_ = d.fail(unavailable(errors.Join(err, cause)))
		}
	}
}

// look drops what the log stream's leader has of the window.
func (d *Loader) look(ctx context.Context) {
	lane, stream := d.lane()
	first := d.window[0].sequence
	state, err := d.log.state(ctx, stream, nil)
	end := state.LastSequence
	switch {
	case err != nil:
		_ = d.fail(err)
		return
	case end < first:
		return
	case end > lane.end:
		d.conflict(d.end + end - lane.end)
		return
	}
	m, err := d.log.fetchFirmly(ctx, stream.leaderGet, at(end))
	switch {
	case err != nil:
		_ = d.fail(unavailable(err))
	case !bytes.Equal(m.data, d.window[end-first].message.Data):
		d.conflict(d.end + end - lane.end)
	default:
		d.drop(end)
	}
}

// again sends the first message of the window once more and waits for what comes
// of it.
func (d *Loader) again(ctx context.Context) error {
	lane, _ := d.lane()
	m := d.window[0].message
	m.Reply = lane.call.reply
	if err := d.log.send(m); err != nil {
		return err
	}
	answered, err := lane.call.wait(ctx, loadWait)
	if err != nil {
		return err
	}
	got := readAnswer(answered)
	switch got.verdict {
	case stored:
		d.drop(min(got.sequence, lane.end))
	case refused:
		_ = d.fail(got.reason)
	}
	return got.reason
}
