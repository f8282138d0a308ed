package exchange

import (
	"encoding/json"
	"fmt"

	"github.com/annals-go/annals/store"
)

// withheldText stands in a line for a personal value that was not opened.
const withheldText = "[personal]"

// marks say what in a value is about a person, as paths: what was personal where it
// was stored, and what is not there, but [withheldText] in its place.
type marks struct {
	Personal []string `json:"personal,omitempty"`
	Withheld []string `json:"withheld,omitempty"`
}

// newMarked returns the payload of a stored value, and its marks. A value that is still
// sealed is withheld, if that is wanted, and ends the export otherwise.
func newMarked(codec store.Codec, stored []byte, personal []store.Personal, withhold bool) (payload, marks, error) {
	m := marks{Personal: paths(personal)}
	if !store.HoldsSealed(codec, stored) {
		return newPayload(codec, stored), m, nil
	}
	if !withhold {
		return payload{}, m, fmt.Errorf("%w: personal data are sealed in the log that is exported", ErrSealed)
	}
	text, err := codec.Marshal(withheldText)
	if err != nil {
		return payload{}, m, err
	}
	plain, veiled, _, err := store.OpenSealed(codec, stored, func(string, []byte) ([]byte, store.Personal, error) {
		return text, store.Personal{}, nil
	})
	m.Withheld = paths(veiled)
	return newPayload(codec, plain), m, err
}

func paths(personal []store.Personal) []string {
	var all []string
	for i := range personal {
		all = append(all, personal[i].Path)
	}
	return all
}

// spans are those of the paths that a line names, with no places: a log refuses what has
// them, until whoever knows the types has put the true ones there.
func (m *marks) spans() ([]store.Personal, error) {
	if len(m.Withheld) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrWithheld, m.Withheld[0])
	}
	var all []store.Personal
	for _, path := range m.Personal {
		all = append(all, store.Personal{Path: path})
	}
	return all, nil
}

// attribute is a list of paths in an attribute of a CloudEvent, which is text.
func attribute(paths []string) string {
	if len(paths) == 0 {
		return ""
	}
	text, _ := json.Marshal(paths) // of text it cannot fail
	return string(text)
}

func parseAttribute(paths *[]string, text string) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), paths)
}
