package privacy

import (
	"cmp"

	"github.com/annals-go/annals/store"
)

// Veiled stands in the place of what is personal to others.
const Veiled = "[personal]"

// Share is what of some data a data subject may be given.
type Share struct {
	// Personal are the paths of what is about the subject; none: nothing is, and Data are nil.
	Personal []string
	// Others are the paths of what is about others, in the place of which Data have [Veiled].
	Others []string
	Data   []byte
}

// ShareOf returns the subject's share of data whose personal spans are given. id is whose
// those are that name nobody. The data given are not changed.
func ShareOf(codec store.Codec, data []byte, spans []store.Personal, id, subject string) (Share, error) {
	var s Share
	own := make([]bool, len(spans))
	for i, p := range spans {
		if own[i] = cmp.Or(p.Subject, id) == subject; own[i] {
			s.Personal = append(s.Personal, p.Path)
		} else {
			s.Others = append(s.Others, p.Path)
		}
	}
	if s.Personal == nil {
		return Share{}, nil
	}
	veiled, err := codec.Marshal(Veiled)
	if err != nil {
		return Share{}, err
	}
	s.Data, err = store.ReplaceSpans(codec, data, spans, func(i int, value []byte) ([]byte, error) {
		if own[i] {
			return value, nil
		}
		return veiled, nil
	})
	if err != nil {
		return Share{}, err
	}
	return s, nil
}
