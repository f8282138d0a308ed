package store_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
)

// What is wrong with JSON is said with its place and what JSON is wanted, and without a
// word of Go.
func TestJSONSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	type inner struct {
		N  uint8     `json:"n"`
		At time.Time `json:"at"`
	}
	type Outer struct {
		Level int8 `json:"level"`
	}
	type value struct {
		Outer
		Name string             `json:"name"`
		Yes  bool               `json:"yes"`
		Many map[string][]inner `json:"many"`
		One  *inner             `json:"one"`
		Raw  []byte             `json:"raw"`
		Part float32            `json:"part"`
		List []string           `json:"list"`
		Own  own                `json:"own"`
	}
	for data, want := range map[string]string{
		`{"name":3}`:                             `invalid field name "number": want a string`,
		`{"name":"a","yes":"no"}`:                `invalid field yes "string": want true or false`,
		`{"level":-129}`:                         `invalid field level "number -129": want an integer from -128 to 127`,
		`{"many":{"a":[{"n":1},{"n":256}]}}`:     `invalid field many.a[1].n "number 256": want an integer from 0 to 255`,
		`{"many":{"a":[{"n":1},7]}}`:             `invalid field many.a[1] "number": want an object`,
		`{"many":{"a":{}}}`:                      `invalid field many.a "object": want an array`,
		`{"one":{"n":1.5}}`:                      `invalid field one.n "number 1.5": want an integer from 0 to 255`,
		`{"one":[]}`:                             `invalid field one "array": want an object`,
		`{"raw":{}}`:                             `invalid field raw "object": want a string in base64`,
		`{"part":1e99}`:                          `invalid field part "number 1e99": want a number of 32 bits`,
		`{"list":["a",{"b":[1]}]}`:               `invalid field list[1] "object": want a string`,
		`{"name":"a","own":{"a":{"deep":"no"}}}`: `invalid field own.deep "string": want true or false`,
		`[]`:                                     `invalid value "array": want an object`,
		`{"one":{"zz":1}}`:                       `invalid field "zz": it is not known`,
		`{"one":{"at":"yesterday"}}`:             `invalid time "yesterday": want one of RFC 3339, as in 2006-01-02T15:04:05Z`,
		`{"name":`:                               `invalid JSON after byte "8": it ends before its value does`,
		`{} {}`:                                  `invalid JSON after byte "2": there is more than one value`,
		`{"name":x}`:                             `invalid JSON after byte "9": invalid character 'x' looking for beginning of value`,
	} {
		var v value
		err := store.JSON.Unmarshal([]byte(data), &v, true)
		if !errors.Is(err, store.ErrInvalid) || err.Error() != want {
			t.Errorf("%s:\n  %v, want\n  %s", data, err, want)
		}
	}
	// Of what a type says for itself the words stay.
	var refused refusing
	if err := store.JSON.Unmarshal([]byte(`{}`), &refused, true); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "not today") {
		t.Errorf("a type's own error: %v", err)
	}
}

type refusing struct{}

func (*refusing) UnmarshalJSON([]byte) error { return errors.New("not today") }

// own decodes itself, from the middle.
type own struct {
	Deep bool `json:"deep"`
}

func (o *own) UnmarshalJSON(data []byte) error {
	type plain own
	return json.Unmarshal(data[len(`{"a":`):len(data)-1], (*plain)(o))
}
