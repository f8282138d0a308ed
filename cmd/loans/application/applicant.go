package application

// Applicant is the person who asks for a loan. It is encrypted where it is stored, and gone
// when the customer is forgotten. It is never changed: states share it.
type Applicant struct {
	// Name and Email are at most [MaxNameBytes] bytes of printable text each; one of them is not
	// empty.
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// checkApplicant refuses a person without a customer: nobody could ask for it to be forgotten.
func checkApplicant(customer string, p *Applicant) error {
	if customer != "" && checkName(customer) != nil {
		return ErrName
	}
	if p == nil {
		return nil
	}
	if customer == "" {
		return ErrNoCustomer
	}
	if *p == (Applicant{}) {
		return ErrName
	}
	for _, text := range []string{p.Name, p.Email} {
		if text != "" && checkName(text) != nil {
			return ErrName
		}
	}
	return nil
}
