package store

import "slices"

// opening goes through data with sealed values and collects what is to be changed.
type opening struct {
	cursor
	codec Codec
	data  []byte
	// open is that of [OpenSealed]; nil: values with nothing in them are left out, and the
	// others stay sealed.
	open     func(path string, envelope []byte) (value []byte, p Personal, err error)
	edits    edits
	path     path
	shredded []string
	mark     [2]int // where the outermost map has a list of what was forgotten before
}

func newOpening(codec Codec, data []byte) (opening, error) {
	c, err := newCursor(codec, data)
	if err != nil {
		return opening{}, err
	}
	return opening{cursor: c, codec: codec, data: data}, nil
}

// walk goes through the whole value, and returns what it is then.
func (o *opening) walk() (data []byte, personal []Personal, err error) {
	if is := o.kind(); is == kindMap {
		err = o.outermost()
	} else {
		_, err = o.value(is, &item{})
	}
	if err != nil {
		return nil, nil, err
	}
	data, personal = o.edits.apply(o.data)
	return data, personal, nil
}

// value goes past the value of an item, of a kind; dropped says that it is to be taken out.
func (o *opening) value(is kind, e *item) (dropped bool, err error) {
	switch is {
	case kindSealed:
		return o.one(e)
	case kindList, kindMap:
		b, c, err := o.inside(false)
		if err == nil && c.dropped > 0 {
			o.edits.recount(o.codec, b, c.kept)
		}
		return false, err
	}
	o.skip()
	return false, nil
}

func (o *opening) one(e *item) (dropped bool, err error) {
	begin := o.at()
	envelope, err := o.envelope()
	if err != nil {
		return false, err
	}
	if o.open == nil && len(envelope) > 0 {
		return false, nil
	}
	path := o.path.String()
	if o.open != nil {
		value, p, err := o.open(path, envelope)
		if err != nil {
			return false, err
		}
		if value != nil {
			p.Path = path
			o.edits.open(begin, o.past(), value, p)
			return false, nil
		}
	}
	o.shredded = append(o.shredded, path)
	if e.index < 0 {
		return true, nil
	}
	o.edits.add(edit{start: begin, end: o.past(), with: nilOf(o.codec)})
	return false, nil
}

// inside goes past a list or a map; top says that it is the outermost.
func (o *opening) inside(top bool) (box, cuts, error) {
	c, b := cuts{open: -1}, o.enter()
	var e item
	for o.next(&b, &e) {
		dropped := false
		if !top || !o.isMark(&e) {
			var err error
			if dropped, err = o.element(&e); err != nil {
				return b, c, err
			}
		}
		c.note(&o.edits, e.begin, o.past(), dropped)
	}
	return b, c, nil
}

// element goes past an element of a list or a map. Its path is wanted only where
// something sealed may be.
func (o *opening) element(e *item) (dropped bool, err error) {
	is := o.kind()
	if is == kindOther || is == kindNil {
		o.skip()
		return false, nil
	}
	length := len(o.path)
	o.path = o.path.to(e)
	dropped, err = o.value(is, e)
	o.path = o.path[:length]
	return dropped, err
}

// isMark goes past the list of what was forgotten before, if e is that.
func (o *opening) isMark(e *item) bool {
	if string(e.name) != shreddedMember {
		return false
	}
	o.mark[0] = o.at()
	o.skip()
	o.mark[1] = o.past()
	return true
}

// outermost is value for the map that says what was forgotten.
func (o *opening) outermost() error {
	b, c, err := o.inside(true)
	if err != nil || len(o.shredded) == 0 {
		return err
	}
	if o.mark[1] == 0 {
		o.edits.recount(o.codec, b, c.kept+1)
		list, err := o.codec.Marshal(o.shredded)
		o.edits.add(memberOf(o.codec, b, shreddedMember, list, c.kept > 0))
		return err
	}
	o.edits.recount(o.codec, b, c.kept)
	list, err := o.codec.Marshal(o.withEarlier())
	o.edits.add(edit{start: o.mark[0], end: o.mark[1], with: list})
	return err
}

// withEarlier returns the paths of what was forgotten before and now.
func (o *opening) withEarlier() []string {
	list := trustedCursor(o.codec, o.data[o.mark[0]:o.mark[1]])
	paths := shreddedPaths(&list)
	paths = append(paths, o.shredded...)
	slices.Sort(paths)
	return slices.Compact(paths)
}
