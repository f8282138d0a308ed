package kv

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/annals-go/annals/store"
)

// place is where a list has come to, and what it knows of the stream behind that.
// Each page may be of another replica, and one that knows less than those before
// it would not have what they left for later.
type place struct {
	through uint64 // sequence of the last message that was seen
	behind  uint64 // how many messages there were behind it
	beyond  uint64 // the furthest at which a document was found that had moved
}

// cursor names the place: three numbers, of which the last is counted from the
// first.
func (p place) cursor() string {
	return fmt.Sprintf("%d.%d.%d", p.through, p.behind, max(p.beyond, p.through)-p.through)
}

func parseCursor(cursor string) (p place, err error) {
	if cursor == "" {
		return place{}, nil
	}
	parts := strings.Split(cursor, ".")
	if len(parts) != 3 {
		return place{}, foreignCursor(cursor)
	}
	for i, to := range []*uint64{&p.through, &p.behind, &p.beyond} {
		if *to, err = strconv.ParseUint(parts[i], 10, 62); err != nil {
			return place{}, foreignCursor(cursor)
		}
	}
	p.beyond += p.through
	return p, nil
}

func foreignCursor(cursor string) error {
	return &store.InvalidError{What: "cursor", Value: cursor, Reason: "it was not made by this view"}
}
