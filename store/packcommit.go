package store

import "errors"

// The compact form of a commit. The events' data come first, so that all texts
// stand together behind them:
//
//	[format, [data…], type, id, commit id, version, sequence and hash of the
//	head before it, microseconds, [[command…]…], [[type, schema, command]…], sum]
//
// The epoch, if there is one, follows the microseconds.

const (
	commitFields  = 12
	commandFields = 7
	eventFields   = 3
)

func packCommit(c *Commit) []byte {
	b := make([]byte, 0, c.packedBytes())
	b = appendFormat(b, commitFields, c.Epoch)
	b = appendArray(b, len(c.Events))
	for i := range c.Events {
		b = appendBytes(b, c.Events[i].Data)
	}
	b = appendText(b, c.Stream.Type)
	b = appendText(b, c.Stream.ID)
	b = appendBytes(b, c.ID[:])
	b = appendUint(b, c.After.Version)
	b = appendUint(b, c.After.Sequence)
	b = appendBytes(b, c.After.Hash[:])
	b = appendInt64(b, c.Time.UnixMicro())
	b = appendEpoch(b, c.Epoch)
	b = appendArray(b, len(c.Commands))
	for i := range c.Commands {
		b = packCommand(b, &c.Commands[i])
	}
	b = appendArray(b, len(c.Events))
	for i := range c.Events {
		b = packEvent(b, &c.Events[i])
	}
	return appendSum(b)
}

func packCommand(b []byte, c *Command) []byte {
	b = appendArray(b, commandFields)
	b = appendText(b, c.ID)
	b = appendText(b, c.Name)
	b = appendUint(b, c.BodyHash)
	b = appendText(b, c.CorrelationID)
	b = appendText(b, c.CausationID)
	b = appendText(b, c.Principal)
	return appendText(b, c.Traceparent)
}

func packEvent(b []byte, e *Event) []byte {
	b = appendArray(b, eventFields)
	b = appendText(b, e.Type)
	b = appendUint(b, uint64(e.Schema))
	return appendUint(b, uint64(e.Command))
}

// packedBytes is at least the size of the packed commit.
func (c *Commit) packedBytes() int {
	const fixed, perCommand, perEvent = 96, 28, 16
	size := fixed + len(c.Stream.Type) + len(c.Stream.ID)
	for i := range c.Commands {
		m := &c.Commands[i]
		size += perCommand + len(m.ID) + len(m.Name) + len(m.CorrelationID) +
			len(m.CausationID) + len(m.Principal) + len(m.Traceparent)
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
	leased, err := u.format(commitFields)
	if err != nil {
		return nil, err
	}
	c := &Commit{Events: make([]Event, u.array(MaxEvents))}
	for i := range c.Events {
		c.Events[i].Data = u.bytes()
	}
	u.beginTexts()
	c.Stream.Type = u.string()
	c.Stream.ID = u.string()
	u.exactly(c.ID[:])
	c.After.Version = u.uint()
	c.After.Sequence = u.uint()
	u.exactly(c.After.Hash[:])
	c.Time = timeOf(u.int64())
	c.Epoch = u.epoch(leased)
	c.Commands = make([]Command, u.array(MaxEvents))
	for i := range c.Commands {
		unpackCommand(&u, &c.Commands[i])
	}
	u.fields(len(c.Events))
	for i := range c.Events {
		unpackEvent(&u, &c.Events[i])
	}
	return c, u.finish()
}

func unpackCommand(u *unpacker, c *Command) {
	u.fields(commandFields)
	c.ID = u.string()
	c.Name = u.string()
	c.BodyHash = u.uint()
	c.CorrelationID = u.string()
	c.CausationID = u.string()
	c.Principal = u.string()
	c.Traceparent = u.string()
}

func unpackEvent(u *unpacker, e *Event) {
	u.fields(eventFields)
	e.Type = u.string()
	e.Schema = u.int(maxSchema)
	e.Command = u.int(MaxEvents - 1)
}
