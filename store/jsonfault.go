package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// jsonFault says why JSON is no v in words of JSON: who sent it knows neither Go nor
// the types of this build.
func jsonFault(data []byte, v any, err error) error {
	var syntax *json.SyntaxError
	var misfit *json.UnmarshalTypeError
	var moment *time.ParseError
	if _, told := errors.AsType[*InvalidError](err); told {
		return err
	}
	name, unknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case errors.As(err, &misfit):
		what := "value"
		if place := misfitPlace(data, misfit); place != "" {
			what = "field " + place
		}
		return &InvalidError{What: what, Value: misfit.Value, Reason: "want " + jsonWanted(misfit.Type)}
	case unknown:
		if text, err := strconv.Unquote(name); err == nil {
			name = text
		}
		return &InvalidError{What: "field", Value: name, Reason: "it is not known"}
	case errors.As(err, &moment):
		return &InvalidError{What: "time", Value: moment.Value, Reason: "want one of RFC 3339, as in 2006-01-02T15:04:05Z"}
	case errors.As(err, &syntax):
		return &InvalidError{What: "JSON after byte", Value: strconv.FormatInt(syntax.Offset, 10), Reason: syntax.Error()}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &InvalidError{What: "JSON after byte", Value: strconv.Itoa(len(data)), Reason: "it ends before its value does"}
	}
	return unfit(v, err) // of the type's own making
}

// jsonWanted names the JSON that a type takes.
func jsonWanted(t reflect.Type) string {
	switch k := t.Kind(); k {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		least := int64(-1) << (t.Bits() - 1)
		return "an integer from " + strconv.FormatInt(least, 10) + " to " + strconv.FormatInt(-(least+1), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return "an integer from 0 to " + strconv.FormatUint(^uint64(0)>>(64-t.Bits()), 10)
	case reflect.Float32, reflect.Float64:
		return "a number of " + strconv.Itoa(t.Bits()) + " bits"
	case reflect.Slice, reflect.Array:
		if k == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			return "a string in base64"
		}
		return "an array"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Pointer:
		return jsonWanted(t.Elem())
	}
	return "something else"
}

// misfitPlace is where a value does not fit. A type that decodes itself may count from
// anywhere; then the names of the fields have to do.
func misfitPlace(data []byte, misfit *json.UnmarshalTypeError) string {
	place := jsonPlace(data, misfit.Offset)
	field := misfit.Field[strings.LastIndexByte(misfit.Field, '.')+1:]
	keys := strings.FieldsFunc(place, func(r rune) bool { return strings.ContainsRune(".[]", r) })
	if field != "" && !slices.Contains(keys, field) {
		return misfit.Field
	}
	return place
}

// jsonPlace names the value that ends, or whose first token does, at an offset: as in
// offers.last[0].amount; empty for the whole.
func jsonPlace(data []byte, offset int64) string {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var outer []jsonLevel
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		delim, _ := token.(json.Delim)
		if delim == '}' || delim == ']' {
			outer = outer[:len(outer)-1]
			continue
		}
		if len(outer) > 0 {
			inner := &outer[len(outer)-1]
			if key, is := token.(string); is && inner.atKey {
				inner.key, inner.atKey = key, false
				continue
			}
			inner.atKey = !inner.array
			inner.count++
		}
		if d.InputOffset() >= offset {
			return jsonPath(outer)
		}
		if delim != 0 {
			outer = append(outer, jsonLevel{array: delim == '[', atKey: delim == '{'})
		}
	}
}

// jsonLevel is an object or an array that is being read.
type jsonLevel struct {
	array, atKey bool
	key          string // the last one
	count        int    // of values so far
}

func jsonPath(levels []jsonLevel) string {
	var b strings.Builder
	for i, l := range levels {
		switch {
		case l.array:
			b.WriteString("[" + strconv.Itoa(l.count-1) + "]")
		case i > 0:
			b.WriteString("." + l.key)
		default:
			b.WriteString(l.key)
		}
	}
	return b.String()
}
