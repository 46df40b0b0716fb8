package io.github.superlens.engine;

/** Why there is no result: one sentence for a person, and behind it the details for who wants to know. */
public final class EngineException extends Exception {

	private static final long serialVersionUID = 1L;

	/** What went wrong, as far as the next step of the user depends on it. */
	public enum Kind {
		/** Something given is wrong or missing; the sentence says what to change. */
		USER,
		/** The user stopped it. */
		CANCELLED,
		/** There is no usable Python; the setup helps. */
		UNAVAILABLE,
		/** The worker process ended in the middle; the next call starts a new one. */
		CRASHED,
		/** A mistake in superlens. */
		DEFECT
	}

	private final Kind kind;
	private final String details;

	/**
	 * @param kind what went wrong
	 * @param message one sentence for a person
	 * @param details stack trace or last lines of output; may be null
	 */
	public EngineException(Kind kind, String message, String details) {
		super(message);
		this.kind = kind;
		this.details = details == null ? "" : details;
	}

	/**
	 * @param kind what went wrong
	 * @param message one sentence for a person
	 * @param cause what led to it
	 */
	public EngineException(Kind kind, String message, Throwable cause) {
		super(message, cause);
		this.kind = kind;
		this.details = String.valueOf(cause);
	}

	/** Makes the refusal of something that the user gave. */
	public static EngineException user(String message) {
		return new EngineException(Kind.USER, message, "");
	}

	/** Makes the end of what the user stopped. */
	public static EngineException cancelled() {
		return new EngineException(Kind.CANCELLED, "Stopped; nothing was changed.", "");
	}

	/** What went wrong. */
	public Kind kind() {
		return kind;
	}

	/** Stack trace or last lines of output; empty when there are none. */
	public String details() {
		return details;
	}
}
