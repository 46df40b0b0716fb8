package io.github.superlens.engine;

/** Hears how far a piece of work is, and says whether to go on. All methods are called from any thread and return at once. */
public interface Progress {

	/** Shows nothing and never stops. */
	Progress SILENT = new Progress() {

		@Override
		public void update(String message, long current, long maximum, String infoJson) {
			// nobody looks
		}

		@Override
		public boolean isCanceled() {
			return false;
		}

		@Override
		public boolean isFinishRequested() {
			return false;
		}
	};

	/**
	 * Takes notice of a step.
	 *
	 * @param message what is being done, in a few words
	 * @param current steps done
	 * @param maximum steps in all; 0 when not known
	 * @param infoJson more about the step, such as the loss of a training, as a JSON object; may be null or empty
	 */
	void update(String message, long current, long maximum, String infoJson);

	/** Whether to stop and drop the result. Once true, it stays true. */
	boolean isCanceled();

	/** Whether pictures of what a network makes while it learns are shown; they come with {@link #update} as {@code preview}. */
	default boolean showsPreviews() {
		return false;
	}

	/** Whether to stop learning and go on with what is learned. Once true, it stays true. */
	boolean isFinishRequested();
}
