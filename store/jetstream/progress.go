package jetstream

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/annals-go/annals/store"
)

// delivery is what the reply subject of a delivered message says.
type delivery struct {
	sequence uint64 // of the message in the order
	number   uint64 // of the delivery by this consumer, from 1
	pending  uint64 // messages that the consumer had yet to deliver
}

// readDelivery reads an acknowledgement subject:
//
//	$JS.ACK.<stream>.<consumer>.<times>.<sequence>.<number>.<time>.<pending>
//	$JS.ACK.<domain>.<account>.<stream>.<consumer>.<times>.<sequence>.<number>.<time>.<pending>[.<more>]
func readDelivery(reply string) (delivery, error) {
	const short, long = 9, 11
	skip := 5
	switch n := strings.Count(reply, ".") + 1; {
	case n >= long:
		skip += long - short
	case n != short:
		return delivery{}, fmt.Errorf("delivery without its number: %q", reply)
	}
	rest := reply
	for range skip {
		_, rest, _ = strings.Cut(rest, ".")
	}
	var d delivery
	var err error
	for _, field := range []*uint64{&d.sequence, &d.number, nil, &d.pending} {
		var text string
		text, rest, _ = strings.Cut(rest, ".")
		if field == nil {
			continue
		}
		if *field, err = strconv.ParseUint(text, 10, 64); err != nil {
			return delivery{}, fmt.Errorf("delivery without its number: %q", reply)
		}
	}
	return d, nil
}

// maxMarks is how many ends of batches are remembered for an acknowledgement.
const maxMarks = 256

// mark is a place that can be acknowledged to the server.
type mark struct {
	position store.Position
	reply    string
	number   uint64
}

// progress remembers how to acknowledge what the reader has been given.
//
// The server stops delivering when too much is not acknowledged, and nothing
// may depend on the reader's acknowledgements: if the reader gives none for
// long, progress gives one in its place.
type progress struct {
	marks []mark // ends of batches, oldest first
	acked uint64 // number of the last acknowledged delivery
}

// add notes the end of a batch that was returned to the reader.
func (p *progress) add(m mark) {
	if len(p.marks) == maxMarks {
		p.marks = append(p.marks[:0], p.marks[1:]...)
	}
	p.marks = append(p.marks, m)
}

// overdue returns what to acknowledge because the reader does not.
func (p *progress) overdue() (reply string, ok bool) {
	if len(p.marks) == 0 {
		return "", false
	}
	newest := p.marks[len(p.marks)-1]
	if newest.number-p.acked < maxUnacknowledged/2 {
		return "", false
	}
	return p.acknowledge(newest.position)
}

// acknowledge returns the reply subject for the last batch that ends at or
// before p, and forgets what it covers.
func (p *progress) acknowledge(upTo store.Position) (reply string, ok bool) {
	n := 0
	for n < len(p.marks) && p.marks[n].position <= upTo {
		n++
	}
	if n == 0 {
		return "", false
	}
	last := p.marks[n-1]
	p.marks = append(p.marks[:0], p.marks[n:]...)
	p.acked = last.number
	return last.reply, true
}
