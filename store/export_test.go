package store

import "slices"

// Forge stores bytes as the next commit of a stream.
func (m *Memory) Forge(id StreamID, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.streams[id]
	if s == nil {
		s = &memoryStream{id: id}
	}
	m.add(s, data, HashOf(data), 1)
}

// Flip changes one bit of a stored commit.
func (m *Memory) Flip(sequence uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stored := slices.Clone(m.entries[sequence-1].stored)
	stored[len(stored)/2] ^= 0x10
	m.entries[sequence-1].stored = stored
}

// Remove takes a commit out of its stream.
func (m *Memory) Remove(sequence uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := &m.entries[sequence-1]
	e.stored = nil
	s := e.stream
	i := slices.Index(s.commits, sequence)
	s.commits = slices.Delete(slices.Clone(s.commits), i, i+1)
	if s.head.Sequence != sequence {
		return
	}
	s.head = Head{}
	if i > 0 {
		before := m.entries[s.commits[i-1]-1]
		s.head = Head{Version: e.after, Sequence: before.last.Sequence(), Hash: HashOf(before.stored)}
	}
}

// WithoutArchive returns the log as one that was opened without an archive.
func (m *Memory) WithoutArchive() *Memory {
	m.config.Archive = nil
	return m
}

// ForgeSnapshot stores bytes as the snapshot of a stream.
func (m *Memory) ForgeSnapshot(id StreamID, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.snapshots[id] = data
}

// Sealed returns what looks like a commit or a snapshot with a right check sum.
func Sealed(codec Codec, data []byte) []byte {
	if codec == JSON {
		return appendSumJSON(slices.Clone(data))
	}
	return appendSum(slices.Clone(data))
}

// Unsealed returns a commit or a snapshot without its check sum.
func Unsealed(codec Codec, stored []byte) []byte {
	if codec == JSON {
		return stored[:len(stored)-sumJSONBytes]
	}
	return stored[:len(stored)-sumBytes]
}

// FitsMsgPack is the check of MsgPack.Unmarshal before it decodes.
func FitsMsgPack(data []byte, v any) error {
	if err := GuardMsgPack(data); err != nil {
		return err
	}
	_, err := MsgPack.(*msgpackCodec).shapes.check(data, v)
	return err
}
