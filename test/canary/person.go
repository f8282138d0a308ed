package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/annals-go/annals/test/canary/people"
)

// person is a data subject with what is to be found of them.
type person struct {
	nth  int
	id   string
	hurt bool // a view fails at their name
	// doomed: they are forgotten in this run.
	doomed bool

	details       people.Details
	name, refused string // the second name, and that of a command that is refused
	note, member  string // in a household
	after         string // what is said of a doomed person under a new key, and not looked for
	marks         []*mark
	household     int // whose stream the note is in
}

// newPerson makes up a person.
func newPerson(r *rand.Rand, nth, households int) *person {
	p := &person{nth: nth, id: fmt.Sprintf("p%04d-%s", nth, randomText(r)[:6]), household: nth % households}
	text := func(field, format string) string {
		core := randomText(r)
		p.marks = append(p.marks, &mark{class: ofText, subject: nth, field: field, forms: textForms(core)})
		return fmt.Sprintf(format, core)
	}
	p.details = people.Details{
		Name:    text("name", "<Dr> \"%s\" é"),
		Address: people.Address{Street: text("street", "%s road 7"), Town: "Delft"},
		Phones:  []people.Phone{{Kind: "home", Number: text("first phone", "%s")}, {Kind: "work", Number: text("second phone", "+31 %s")}},
		Rooms:   map[string]people.Phone{"hall": {Kind: "wall", Number: text("room", "%s")}},
		Labels:  map[string]string{"a": text("label", "%s"), text("label's name", "%s"): "b"},
		Aliases: []string{"x", text("alias", "%s\n")},
		Photo:   append([]byte{0xFF, 0xD8, 0}, p.photo(r)...),
		Number:  p.number(r),
	}
	p.name, p.refused = text("second name", "%s & sons"), text("refused name", "%s")
	p.note, p.member = text("note", "was seen at %s"), text("member", "%s")
	p.after = randomText(r)
	return p
}

func (p *person) photo(r *rand.Rand) []byte {
	data := randomBytes(r)
	p.marks = append(p.marks, &mark{class: ofText, subject: p.nth, field: "photo", forms: rawForms(data)})
	return data
}

func (p *person) number(r *rand.Rand) int64 {
	const least, span = 1e17, 8e17
	n := int64(least) + r.Int64N(span)
	p.marks = append(p.marks, &mark{class: ofText, subject: p.nth, field: "number", forms: numberForms(n)})
	return n
}

// mark returns the text that was put into a field.
func (p *person) mark(field string) []byte {
	for _, m := range p.marks {
		if m.field == field {
			return m.forms[0].bytes
		}
	}
	panic("no field " + field)
}
