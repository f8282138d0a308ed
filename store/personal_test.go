package store_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
)

// The types of these tests: a hiring with everything that a type can be.
type (
	hired struct {
		Number  int64           `json:"number"`
		Mail    string          `json:"mail,omitempty" personal:"number"`
		Note    *string         `json:"note" personal:"@id"`
		Person  hiredPerson     `json:"person"`
		Others  []*hiredPerson  `json:"others"`
		ByRole  map[string]duty `json:"by_role"`
		Place   hiredPlace      `json:"place"`
		Born    time.Time       `json:"born" personal:"number"`
		Pay     map[string]int  `json:"pay,omitempty" personal:"number"`
		Plain   string          `json:"plain"`
		Country string          `json:"country"`
		hiredTrail
		Gone store.Shredded `json:"-"`
		Rest store.Unknown  `json:"-"`
	}
	hiredPerson struct {
		ID     string   `json:"id"`
		Name   string   `json:"name" personal:"id"`
		Tags   []string `json:"tags,omitempty" personal:"id"`
		Inner  *boss    `json:"inner,omitempty"`
		Number int64    `json:"number"` // nearer to boss than that of hired
	}
	boss struct {
		Known string `json:"known" personal:"number"`
	}
	duty struct {
		Of   string `json:"of"`
		What string `json:"what" personal:"of"`
	}
	hiredTrail struct { // embedded: its fields are those of hired
		Agent string `json:"agent" personal:"number"`
	}
	// hiredPlace comes as a list in msgpack.
	hiredPlace struct {
		_msgpack struct{} `msgpack:",as_array"` //nolint:unused // it is the library's way
		Street   string   `json:"street" personal:"tenant"`
		Tenant   uint16   `json:"tenant"`
		Floor    int      `json:"floor"`
	}
)

func hiredTypes() store.Types[any] { return store.NewTypes(map[string]any{"hired": hired{}}) }

func fullHired() hired {
	note := "shy"
	return hired{
		Number: 7, Mail: "a@x", Note: &note, Plain: "plain", Country: "pt",
		Person: hiredPerson{ID: "p-1", Name: "Ann", Tags: []string{"tall", "left"}, Number: 8, Inner: &boss{Known: "Zoe"}},
		Others: []*hiredPerson{{ID: "p-2", Name: "Bob"}, nil, {ID: "p-3", Name: "Cid"}},
		ByRole: map[string]duty{"a b": {Of: "p-2", What: "cook"}, "lead": {Of: "p-1", What: "\"lead\""}},
		Place:  hiredPlace{Street: "Elm", Tenant: 9, Floor: 2}, Born: time.Date(1990, 1, 2, 3, 4, 5, 6000, time.UTC),
		Pay: map[string]int{"jan": 100}, hiredTrail: hiredTrail{Agent: "Kim"},
	}
}

func TestEncodePersonal(t *testing.T) {
	t.Parallel()
	types := hiredTypes()
	street := map[store.Codec]string{store.MsgPack: "place[0]", store.JSON: "place.street"}
	for codec, place := range street {
		want := map[string]string{ // path: subject and value
			"mail": "7 a@x", "note": " shy", "person.name": "p-1 Ann", "person.tags": "p-1 [tall left]", "person.inner.known": "8 Zoe",
			"others[0].name": "p-2 Bob", "others[2].name": "p-3 Cid", `by_role["a b"].what`: "p-2 cook", "by_role.lead.what": `p-1 "lead"`,
			place: "9 Elm", "born": "7 1990-01-02 03:04:05.000006 +0000 UTC", "pay": "7 map[jan:100]", "agent": "7 Kim",
		}
		encoded, err := types.Encode(codec, fullHired())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		last := 0
		for _, p := range encoded.Personal {
			if p.Start < last || p.End <= p.Start {
				t.Errorf("%+v overlaps the one before, which ends at %d", p, last)
			}
			last = p.End
			got[p.Path] = fmt.Sprint(p.Subject, " ", valueOf(t, codec, p.Path, encoded.Data[p.Start:p.End]))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: personal are\n%q, want\n%q", codec.Name(), got, want)
		}
		back, err := types.Decode(codec, "hired", 1, encoded.Data)
		if err != nil || !reflect.DeepEqual(back, any(fullHired())) {
			t.Errorf("%s: it came back as %+v, %v", codec.Name(), back, err)
		}
	}
}

// valueOf decodes a personal value, as the time that one of them is.
func valueOf(t *testing.T, codec store.Codec, path string, data []byte) any {
	t.Helper()
	if path == "born" {
		var at time.Time
		if err := codec.Unmarshal(data, &at, true); err != nil {
			t.Fatal(err)
		}
		return at.UTC()
	}
	var v any
	if err := codec.Unmarshal(data, &v, true); err != nil {
		t.Fatalf("%s: %q is not a value: %v", path, data, err)
	}
	return v
}

func TestPersonalOfNobody(t *testing.T) {
	t.Parallel()
	types := hiredTypes()
	for name, test := range map[string]struct {
		v     hired
		paths []string
		fails string
	}{
		"nothing":               {v: hired{}},
		"zero values of nobody": {v: hired{Others: []*hiredPerson{{Tags: []string{}}}, ByRole: map[string]duty{"x": {}}}},
		"nil of somebody":       {v: hired{Number: 1}, paths: []string{"born", "agent"}},
		"somebody below 0":      {v: hired{Number: -1, Mail: "m"}, paths: []string{"mail", "born", "agent"}},
		"a name of nobody":      {v: hired{Person: hiredPerson{Name: "Ann"}}, fails: "person.name"},
		"a time of nobody":      {v: hired{Born: time.Unix(0, 0)}, fails: "born"},
		"a list of nobody":      {v: hired{Person: hiredPerson{Tags: []string{"", "x"}}}, fails: "person.tags"},
		"no id of anybody":      {v: hired{Person: hiredPerson{ID: "a\u200bb", Name: "Ann"}}, fails: "U+200B"},
		"a long id":             {v: hired{Person: hiredPerson{ID: strings.Repeat("x", 200), Name: "Ann"}}, fails: "too long"},
	} {
		for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
			encoded, err := types.Encode(codec, test.v)
			if test.fails != "" {
				if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), test.fails) || strings.Contains(err.Error(), "Ann") {
					t.Errorf("%s: %s: %v, want it invalid, and to name %s", codec.Name(), name, err, test.fails)
				}
				continue
			}
			var paths []string
			for _, p := range encoded.Personal {
				paths = append(paths, p.Path)
			}
			if err != nil || !slices.Equal(paths, test.paths) {
				t.Errorf("%s: %s: personal are %q, %v, want %q", codec.Name(), name, paths, err, test.paths)
			}
		}
	}
}

func TestPersonalList(t *testing.T) {
	t.Parallel()
	want := []string{
		"agent of number", "born of number", "by_role[].what of of", "mail of number", "note of @id", "others[].inner.known of number",
		"others[].name of id", "others[].tags of id", "pay of number", "person.inner.known of number", "person.name of id",
		"person.tags of id", "place.street of tenant",
	}
	types := hiredTypes()
	if got := types.Personal("hired"); !slices.Equal(got, want) {
		t.Errorf("personal of hired: %q, want %q", got, want)
	}
	got, err := store.PersonalFields(reflect.TypeFor[*hired]())
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("personal of the type: %q, %v", got, err)
	}
	if got := types.Personal("fired"); got != nil {
		t.Errorf("personal of a name that is none: %q", got)
	}
	if got, err := store.PersonalFields(reflect.TypeFor[letter]()); got != nil || err != nil {
		t.Errorf("personal of a letter: %q, %v", got, err)
	}
}

// A type may hold itself, and what is nearest to a field counts, not what was seen first.
type tree struct {
	ID    string           `json:"id"`
	Name  string           `json:"name" personal:"id"`
	Kids  []tree           `json:"kids,omitempty"`
	Under map[string]*tree `json:"under,omitempty"`
}

func TestPersonalRecursion(t *testing.T) {
	t.Parallel()
	types := store.NewTypes(map[string]any{"tree": tree{}})
	v := tree{ID: "1", Name: "a", Kids: []tree{{ID: "2", Name: "b", Under: map[string]*tree{"x": {ID: "3", Name: "c"}, "y": nil}}}}
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		encoded, err := types.Encode(codec, v)
		var got []string
		for _, p := range encoded.Personal {
			got = append(got, p.Path+" of "+p.Subject)
		}
		if want := []string{"name of 1", "kids[0].name of 2", "kids[0].under.x.name of 3"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: personal are %q, %v, want %q", codec.Name(), got, err, want)
		}
	}
	if got, want := types.Personal("tree"), []string{"name of id"}; !slices.Contains(got, want[0]) {
		t.Errorf("personal of a tree: %q", got)
	}
}

func TestPersonalSpansOfDocument(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		v := fullHired()
		encoded, err := hiredTypes().Encode(codec, v)
		if err != nil {
			t.Fatal(err)
		}
		spans, err := store.PersonalSpans(codec, &v, encoded.Data)
		if err != nil || !slices.Equal(spans, encoded.Personal) {
			t.Errorf("%s: a document has %v, %v, the event %v", codec.Name(), spans, err, encoded.Personal)
		}
		if spans, err := store.PersonalSpans(codec, nil, []byte("{}")); spans != nil || err != nil {
			t.Errorf("%s: nothing has %v, %v", codec.Name(), spans, err)
		}
	}
}

func TestForgedSealed(t *testing.T) {
	t.Parallel()
	type noted struct {
		Any  any               `json:"any"`
		Text map[string]string `json:"text"`
	}
	types := store.NewTypes(map[string]any{"noted": noted{}})
	forged := noted{Any: map[string]any{"annals:sealed": "AAAA"}}
	if _, err := types.Encode(store.JSON, forged); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a forged value: %v, want it invalid", err)
	}
	if _, err := store.PersonalSpans(store.JSON, forged, []byte(`{"any":{"annals:sealed":"AAAA"}}`)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a forged document: %v, want it invalid", err)
	}
	harmless := noted{Any: `"annals:sealed":"AAAA"`, Text: map[string]string{"a": `{"annals:sealed":"AAAA"}`}}
	encoded, err := types.Encode(store.JSON, harmless)
	if err != nil || store.HoldsSealed(store.JSON, encoded.Data) {
		t.Errorf("a text that says so: %q, %v", encoded.Data, err)
	}
	sealed := store.SealedForm(store.MsgPack, []byte("~x"))
	if err := store.GuardMsgPack(sealed); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "sealed") {
		t.Errorf("the guard lets a sealed value through: %v", err)
	}
}

func TestCommitOfPlainPersonalData(t *testing.T) {
	t.Parallel()
	personal := []store.Personal{{Path: "owner", Start: 1, End: 2}}
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		for name, spoil := range map[string]func(*store.Commit){
			"event":   func(c *store.Commit) { c.Events[0].Personal = personal },
			"command": func(c *store.Commit) { c.Commands[0].Personal = personal },
		} {
			c := keptCommit(t, codec, 0)
			mustEncode(t, codec, c)
			spoil(c)
			if _, err := store.EncodeCommit(codec, c); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "owner") {
				t.Errorf("%s: %s with personal data in plain: %v, want it invalid", codec.Name(), name, err)
			}
		}
	}
}
