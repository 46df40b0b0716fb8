package io.github.superlens.scijava;

import org.scijava.ItemIO;
import org.scijava.command.Command;
import org.scijava.plugin.Parameter;
import org.scijava.plugin.Plugin;

import ij.ImagePlus;

/** {@code Superlens PSF...} for {@code CommandService} and {@code #@} scripts: the PSF of the optics. */
@Plugin(type = Command.class, headless = true, label = "Superlens PSF")
public final class PsfCommand extends TwinCommand {

	@Parameter(label = "Numerical aperture")
	private double na;

	@Parameter(label = "Emission wavelength (nm)")
	private double wavelength_nm;

	@Parameter(label = "Pixel size (nm)")
	private double pixel_nm;

	@Parameter(label = "Plane distance (nm)", required = false)
	private Double z_step_nm;

	@Parameter(type = ItemIO.OUTPUT, label = "PSF")
	private ImagePlus result;

	@Override
	public void run() {
		result = work("psf", null);
	}
}
