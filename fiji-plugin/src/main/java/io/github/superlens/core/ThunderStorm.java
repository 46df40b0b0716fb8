package io.github.superlens.core;

import java.io.File;
import java.util.Map;

import ij.IJ;
import ij.Menus;

/** ThunderSTORM, where it is installed too: its filters, drift correction and pictures go on from a table of single molecules. */
final class ThunderStorm {

	private static final String IMPORT = "Import results";

	private ThunderStorm() {
		// is asked
	}

	/** Whether it is among ImageJ's commands. */
	static boolean isInstalled() {
		final Map<?, ?> commands = Menus.getCommands();
		return commands != null && String.valueOf(commands.get(IMPORT)).contains("ThunderSTORM");
	}

	/** Opens a table in it, in place of the one it had; returns when it is read. */
	static void open(File csv) {
		IJ.run(IMPORT, "filepath=[" + csv + "] fileformat=[CSV (comma separated)] startingframe=1 append=false detectmeasurementprotocol=false livepreview=false rawimagestack=[]");
	}
}
