package projector

// TearNotes stores notes of a worker without a checkpoint, as a commit that a
// power cut tore leaves them. It is for tests.
func (m *Memory) TearNotes(model Model, worker string, notes ...Note) {
	v := m.view(model)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.note(worker, notes)
}
