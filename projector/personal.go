package projector

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/annals-go/annals/store"
)

// privately is what is personal in a view.
type privately struct {
	events     []string // wire names of the events that it sees and that have personal fields
	fields     []string // the personal fields of its documents
	badTags    error    // what is wrong with the tags of these
	impersonal bool     // it copies nothing personal
	told       bool     // it has a handler for notices
}

// personalEvents are the wire names with personal fields among those that a view sees.
func personalEvents[E any](types store.Types[E], only []string) []string {
	names := types.Names()
	if len(only) > 0 {
		names = only
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return len(types.Personal(name)) == 0 })
}

// personalFields are those of a type of documents.
func personalFields[D any]() ([]string, error) { return store.PersonalFields(reflect.TypeFor[D]()) }

// validate refuses what would keep personal data where they are not found again.
func (p privately) validate(kind kind, indexes []string, invalid func(string) error) error {
	if p.badTags != nil {
		return p.badTags
	}
	for _, index := range indexes {
		for _, f := range fieldsFrom(p.fields) {
			if f.touches(index) {
				return invalid(fmt.Sprintf("its index on %q is on personal data (%s), which are stored sealed", index, f))
			}
		}
	}
	if len(p.events) == 0 || len(p.fields) > 0 || p.impersonal {
		return nil
	}
	what := ""
	switch {
	case kind == ofDocuments:
		what = "its documents have no personal tags: tag what is copied from these, or say Impersonal if nothing is"
	case kind == ofTables && !p.told:
		what = "it has no Forgotten handler that takes out what Apply copies: have one, or say Impersonal if nothing is copied"
	default:
		return nil
	}
	return invalid(fmt.Sprintf("its events %q have personal fields, and %s", p.events, what))
}

// field is a personal field of documents: where it stands, and the name of the field
// that holds whose it is, "@id" for the document's key.
type field struct {
	path    []string // names; each for what is in a list or a map
	subject string
}

// each stands for all that is in a list or a map.
const each = "[]"

// ofKey is the subject of fields that are the document's key's.
const ofKey = "@id"

// fieldsFrom reads what [store.PersonalFields] says: "phones[].number of person".
func fieldsFrom(list []string) []field {
	fields := make([]field, 0, len(list))
	for _, text := range list {
		at := strings.LastIndex(text, " of ")
		fields = append(fields, field{path: pathFrom(text[:at]), subject: text[at+len(" of "):]})
	}
	return fields
}

func pathFrom(text string) (path []string) {
	for text != "" {
		switch {
		case strings.HasPrefix(text, each):
			path, text = append(path, each), text[len(each):]
		case strings.HasPrefix(text, `["`):
			quoted, err := strconv.QuotedPrefix(text[1:])
			if err != nil {
				return append(path, text)
			}
			name, _ := strconv.Unquote(quoted) // which QuotedPrefix has checked
			path, text = append(path, name), text[1+len(quoted)+1:]
		default:
			text = strings.TrimPrefix(text, ".")
			end := strings.IndexAny(text, ".[")
			if end < 0 {
				end = len(text)
			}
			path, text = append(path, text[:end]), text[end:]
		}
	}
	return path
}

func (f field) String() string { return strings.Join(f.path, ".") + " of " + f.subject }

// touches reports whether an index is on the field, on something in it or on something
// around it.
func (f field) touches(index string) bool {
	names := slices.DeleteFunc(slices.Clone(f.path), func(name string) bool { return name == each })
	for i, name := range strings.Split(index, ".") {
		if i < len(names) && names[i] != name {
			return false
		}
	}
	return true
}

// holdsSubject reports whether a document is about a person: whether its key, or the
// field that says whose a personal one is, names the subject. It depends on nothing
// that is personal itself, so it is the same after a forgetting and in a model that is built later.
func holdsSubject(fields []field, key string, document json.RawMessage, subject string) bool {
	if key == subject {
		return true
	}
	value, err := valueOf(document)
	if err != nil {
		return false
	}
	for _, f := range fields {
		if f.subject != ofKey && f.names(value, f.path, nil, subject) {
			return true
		}
	}
	return false
}

// names looks through all that the path leads to. around are the objects passed, the
// innermost last.
func (f field) names(value any, path []string, around []map[string]any, subject string) bool {
	switch v := value.(type) {
	case map[string]any:
		if path[0] == each {
			for _, inner := range v {
				if f.names(inner, path[1:], around, subject) {
					return true
				}
			}
			return false
		}
		around = append(around, v)
		if len(path) == 1 {
			return f.isOf(around, subject)
		}
		return f.names(v[path[0]], path[1:], around, subject)
	case []any:
		if path[0] != each {
			return false
		}
		for _, inner := range v {
			if f.names(inner, path[1:], around, subject) {
				return true
			}
		}
	}
	return false
}

// isOf reports whether the innermost object that has the field that says whose it is,
// names the subject.
func (f field) isOf(around []map[string]any, subject string) bool {
	for _, object := range slices.Backward(around) {
		if v, there := object[f.subject]; there {
			return fmt.Sprint(v) == subject
		}
	}
	return false
}

// isZero reports whether a value says nothing: what is left of one that was forgotten,
// once the document was written again.
func isZero(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case json.Number:
		n, err := v.Float64()
		return err == nil && n == 0
	case string:
		return v == "" || v == "0001-01-01T00:00:00Z"
	case []any:
		return !slices.ContainsFunc(v, func(inner any) bool { return !isZero(inner) })
	case map[string]any:
		for _, inner := range v {
			if !isZero(inner) {
				return false
			}
		}
		return true
	}
	return false
}

// keyed says under which keys the personal parts of a document are sealed: each under
// the one that data of its subject came in with. What nothing came in with is sealed
// under the key that its subject has now, and left out if that was forgotten; but if it says
// nothing it stays as it is.
func keyed(personal []store.Personal, key string, document []byte, came []store.KeyRef) []store.Personal {
	kept := personal[:0]
	for _, p := range personal {
		if p.Key = keyOf(p, key, came); p.Key == (store.KeyID{}) {
			if value, err := valueOf(document[p.Start:p.End]); err == nil && isZero(value) {
				continue
			}
		}
		kept = append(kept, p)
	}
	return kept
}

func keyOf(p store.Personal, key string, came []store.KeyRef) store.KeyID {
	subject := p.Subject
	if subject == "" {
		subject = key
	}
	for _, ref := range slices.Backward(came) {
		if ref.Subject == subject {
			return ref.ID
		}
	}
	return store.KeyID{}
}
