package store

import "errors"

// The compact form of a commit. The events' data come first, so that all texts
// stand together behind them:
//
//	[format, [data…], type, id, commit id, version, sequence and hash of the
//	head before it, microseconds, [[command…]…], [[type, schema, command]…], sum]
//
// The epoch, if there is one, follows the microseconds. In the layout of kept
// commands the epoch is always there, the commands' data follow the events'
// data, one for each command, and a command has two fields more.

const (
	commitFields      = 12
	commandFields     = 7
	keptCommandFields = 9
	eventFields       = 3
)

// keeps reports whether the commit holds of any command what only the layout of
// kept commands has a place for.
func (c *Commit) keeps() bool {
	for i := range c.Commands {
		if m := &c.Commands[i]; len(m.Data) > 0 || m.Schema != 0 || m.Corrects != "" {
			return true
		}
	}
	return false
}

func (c *Commit) format() int {
	if c.keeps() {
		return formatKept
	}
	return formatOf(c.Epoch)
}

func packCommit(c *Commit) []byte {
	b := make([]byte, 0, c.packedBytes())
	format := c.format()
	b = appendFormat(b, commitFields, format)
	b = appendArray(b, len(c.Events))
	for i := range c.Events {
		b = appendBytes(b, c.Events[i].Data)
	}
	if format == formatKept {
		b = packKept(b, c)
	}
	b = appendText(b, c.Stream.Type)
	b = appendText(b, c.Stream.ID)
	b = appendBytes(b, c.ID[:])
	b = appendUint(b, c.After.Version)
	b = appendUint(b, c.After.Sequence)
	b = appendBytes(b, c.After.Hash[:])
	b = appendInt64(b, c.Time.UnixMicro())
	b = appendEpoch(b, format, c.Epoch)
	b = appendArray(b, len(c.Commands))
	for i := range c.Commands {
		b = packCommand(b, &c.Commands[i], format)
	}
	b = appendArray(b, len(c.Events))
	for i := range c.Events {
		b = packEvent(b, &c.Events[i])
	}
	return appendSum(b)
}

func packKept(b []byte, c *Commit) []byte {
	b = appendArray(b, len(c.Commands))
	for i := range c.Commands {
		b = appendBytes(b, c.Commands[i].Data)
	}
	return b
}

func packCommand(b []byte, c *Command, format int) []byte {
	b = appendArray(b, fieldsOfCommand(format))
	b = appendText(b, c.ID)
	b = appendText(b, c.Name)
	b = appendUint(b, c.BodyHash)
	b = appendText(b, c.CorrelationID)
	b = appendText(b, c.CausationID)
	b = appendText(b, c.Principal)
	b = appendText(b, c.Traceparent)
	if format != formatKept {
		return b
	}
	b = appendUint(b, uint64(c.Schema))
	return appendText(b, c.Corrects)
}

func fieldsOfCommand(format int) int {
	if format == formatKept {
		return keptCommandFields
	}
	return commandFields
}

func packEvent(b []byte, e *Event) []byte {
	b = appendArray(b, eventFields)
	b = appendText(b, e.Type)
	b = appendUint(b, uint64(e.Schema))
	return appendUint(b, uint64(e.Command))
}

// packedBytes is at least the size of the packed commit.
func (c *Commit) packedBytes() int {
	const fixed, perCommand, perEvent = 96, 42, 16
	size := fixed + len(c.Stream.Type) + len(c.Stream.ID)
	for i := range c.Commands {
		m := &c.Commands[i]
		size += perCommand + len(m.ID) + len(m.Name) + len(m.CorrelationID) +
			len(m.CausationID) + len(m.Principal) + len(m.Traceparent) + len(m.Corrects) + len(m.Data)
	}
	for i := range c.Events {
		size += perEvent + len(c.Events[i].Type) + len(c.Events[i].Data)
	}
	return size
}

var (
	errSum    = errors.New("its check sum is wrong")
	errFormat = errors.New("it has a format that this build does not know")
)

func unpackCommit(stored []byte) (*Commit, error) {
	body, ok := cutSum(stored)
	if !ok {
		return nil, errSum
	}
	u := unpacker{data: body}
	format, err := u.format(commitFields, formatKept)
	if err != nil {
		return nil, err
	}
	c := &Commit{Events: make([]Event, u.array(MaxEvents))}
	for i := range c.Events {
		c.Events[i].Data = u.bytes()
	}
	if format == formatKept {
		unpackKept(&u, c)
	}
	u.beginTexts()
	c.Stream.Type = u.string()
	c.Stream.ID = u.string()
	u.exactly(c.ID[:])
	c.After.Version = u.uint()
	c.After.Sequence = u.uint()
	u.exactly(c.After.Hash[:])
	c.Time = timeOf(u.int64())
	c.Epoch = u.epoch(format)
	if format == formatKept {
		u.fields(len(c.Commands))
	} else {
		c.Commands = make([]Command, u.array(MaxEvents))
	}
	for i := range c.Commands {
		unpackCommand(&u, &c.Commands[i], format)
	}
	u.fields(len(c.Events))
	for i := range c.Events {
		unpackEvent(&u, &c.Events[i])
	}
	if format == formatKept && !c.keeps() { // there is one way to keep nothing
		u.fail()
	}
	return c, u.finish()
}

func unpackKept(u *unpacker, c *Commit) {
	c.Commands = make([]Command, u.array(MaxEvents))
	for i := range c.Commands {
		if data := u.bytes(); len(data) > 0 {
			c.Commands[i].Data = data
		}
	}
}

func unpackCommand(u *unpacker, c *Command, format int) {
	u.fields(fieldsOfCommand(format))
	c.ID = u.string()
	c.Name = u.string()
	c.BodyHash = u.uint()
	c.CorrelationID = u.string()
	c.CausationID = u.string()
	c.Principal = u.string()
	c.Traceparent = u.string()
	if format == formatKept {
		c.Schema = u.int(maxSchema)
		c.Corrects = u.string()
	}
}

func unpackEvent(u *unpacker, e *Event) {
	u.fields(eventFields)
	e.Type = u.string()
	e.Schema = u.int(maxSchema)
	e.Command = u.int(MaxEvents - 1)
}
