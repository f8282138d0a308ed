package jetstream

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/annals-go/annals/store"
)

// readSource reads the header that the server gives a sourced message: the
// stream that it was appended to, its sequence there, and more.
func readSource(header string) (stream string, local uint64, err error) {
	stream, rest, _ := strings.Cut(header, " ")
	number, _, _ := strings.Cut(rest, " ")
	if local, err = strconv.ParseUint(number, 10, 64); err != nil || local == 0 {
		return "", 0, fmt.Errorf("it does not say which message of which stream it is: %q", header)
	}
	return stream, local, nil
}

// lineage checks that the order has the commits of each log stream in their
// order, each once. The server promises that; a log that rests on it looks.
//
// What was truncated is read from the archive and counted, too, so that the places
// of a prefix are as many as the log streams' messages in it: the last sequences
// seen of all log streams add up to the place. That holds for what came before the lineage
// began, too, as soon as each log stream was seen once.
type lineage struct {
	names  *names
	last   []uint64 // of each log stream, 0 until one is seen
	unseen int
	sum    uint64 // of last
}

// newLineage returns one that begins at a place in the order.
func newLineage(n *names, first uint64) lineage {
	g := lineage{names: n, last: make([]uint64, len(n.streams)), unseen: len(n.streams)}
	if first == 1 {
		g.unseen = 0 // nothing comes before
	}
	return g
}

// take checks the message at the next place, by its header, and returns which
// log stream it is of, and its sequence there. The error matches
// [store.ErrDamaged].
func (g *lineage) take(place uint64, header string) (stream int, local uint64, err error) {
	name, local, err := readSource(header)
	if err != nil {
		return 0, 0, g.broken(place, err.Error())
	}
	stream, ok := g.names.origin(name)
	if !ok {
		return 0, 0, g.broken(place, "it is of "+name)
	}
	return stream, local, g.count(place, stream, local)
}

// count checks the message of a log stream at the next place.
func (g *lineage) count(place uint64, stream int, local uint64) error {
	before := g.last[stream]
	switch {
	case before == 0 && g.unseen > 0:
		g.unseen--
		g.sum += local
	case local == before+1:
		g.sum++
	default:
		return g.broken(place, fmt.Sprintf("message %d of %s follows its message %d", local, g.names.streams[stream].name, before))
	}
	g.last[stream] = local
	if g.sum > place || g.unseen == 0 && g.sum < place {
		return g.broken(place, fmt.Sprintf("%d messages should come before it", g.sum-1))
	}
	return nil
}

func (g *lineage) broken(place uint64, reason string) error {
	return fmt.Errorf("%w: stream %s does not have what it sources in order: at %d %s", store.ErrDamaged, g.names.order.name, place, reason)
}
