package procstat

import "encoding/json"

// Value is a reading that may be unknown, as its zero value is. In JSON an
// unknown one is null.
type Value[T any] struct {
	v     T
	known bool
}

// Known returns the Value v.
func Known[T any](v T) Value[T] { return Value[T]{v: v, known: true} }

// Get returns the reading, and whether it is known; without it the reading is
// the zero value of T.
func (v Value[T]) Get() (T, bool) { return v.v, v.known }

// Known reports whether there is a reading.
func (v Value[T]) Known() bool { return v.known }

// Or returns the reading or, without one, other.
func (v Value[T]) Or(other T) T {
	if v.known {
		return v.v
	}

	return other
}

// MarshalJSON writes the reading as T's, or null.
func (v Value[T]) MarshalJSON() ([]byte, error) {
	if !v.known {
		return []byte("null"), nil
	}

	return json.Marshal(v.v)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *Value[T]) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*v = Value[T]{}
		return nil
	}

	var reading T
	if err := json.Unmarshal(data, &reading); err != nil {
		return err
	}

	*v = Known(reading)

	return nil
}
