package gateway

import (
	"github.com/annals-go/annals/store"
)

const (
	// correctionsAhead is how many events behind a page of a history are looked at
	// for what made good an event of the page. Each is decoded, some 5 µs: two full
	// pages' worth keeps the price of a page below three times that of its own events,
	// and corrections stand near what they correct.
	correctionsAhead = 2 * maxHistoryPage
	// maxCorrections is how many links a page shows.
	maxCorrections = 256
	// correctionsBytes is room for them.
	correctionsBytes = maxCorrections * 64
)

// corrections are the links from later events to earlier ones that the reading
// of a history came upon, by what they name. The zero value is empty.
type corrections struct {
	by      map[string][]uint64 // versions
	command string              // the id of the last one's command
	count   int
}

// note takes the link of an event, if it is the first one of a command that has
// one.
func (c *corrections) note(e store.Recorded[any]) {
	if e.Command.Corrects == "" || e.Command.ID == c.command || c.count == maxCorrections {
		return
	}
	if c.by == nil {
		c.by = map[string][]uint64{}
	}
	c.by[e.Command.Corrects] = append(c.by[e.Command.Corrects], e.Version)
	c.command, c.count = e.Command.ID, c.count+1
}

// link tells the events what corrects them.
func (c *corrections) link(stream store.StreamID, events []Event) {
	if c.count == 0 {
		return
	}
	for i := range events {
		e := &events[i]
		place := store.Corrected{Stream: stream, Version: e.Version}
		e.CorrectedBy = append(e.CorrectedBy, c.by[place.String()]...)
		e.CorrectedBy = append(e.CorrectedBy, c.by[e.ID.String()]...)
	}
}
